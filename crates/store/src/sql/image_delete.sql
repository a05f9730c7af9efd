with found as materialized (
    select i.id from images i where i.id = $2 and i.tenant_id is not distinct from $1 for update
),
verdict as materialized (
    select f.id,
        exists (select from edits e where e.image_id = f.id) or exists (select from edits e where e.mask_id = f.id)
            or not $3::boolean and exists (select from sessions s where s.image_id = f.id) as used
    from found f
),
gone as (
    delete from images i using verdict v where i.id = v.id and not v.used
    returning i.blob_key
),
listed as (
    insert into blob_deletions (key, until) select g.blob_key, now() + interval '15 min' from gone g
    on conflict (key) do nothing
)
select v.used from verdict v
