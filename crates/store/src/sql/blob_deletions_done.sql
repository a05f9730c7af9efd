with gone as (
    delete from blob_deletions d where d.key = any ($1) and d.until <= now()
)
update blob_deletions d
set deleted_at = coalesce(d.deleted_at, now()), due_at = d.until, tries = 0
where d.key = any ($1) and d.until > now()
