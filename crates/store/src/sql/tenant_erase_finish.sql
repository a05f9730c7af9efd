-- The last step, when edits, images, sessions and batches are gone; if one came in meanwhile the row of the tenant can't go, and nothing
-- does. Keys go with it.
with used as (
    delete from usage u where u.tenant_id = $1
    returning u.day, u.edits, u.gpu_ms, u.bytes
),
kept as (
    insert into usage_erased as k (day, edits, gpu_ms, bytes)
    select u.day, u.edits, u.gpu_ms, u.bytes from used u order by u.day
    on conflict (day) do update
    set edits = k.edits + excluded.edits, gpu_ms = k.gpu_ms + excluded.gpu_ms, bytes = k.bytes + excluded.bytes
),
uncounted as (
    delete from lines l where l.tenant_id = $1
),
unfolded as (
    delete from line_changes c where c.tenant_id = $1
),
due as (
    update blob_deletions d
    set due_at = now(), until = now() + interval '15 min'
    where d.key = 't/' || $1::text || '/'
),
gone as (
    delete from tenants t where t.id = $1 and t.erasing_at is not null
    returning t.id
)
select count(*) as gone from gone
