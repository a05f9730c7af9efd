select
    (select count(*) from api_keys k where k.tenant_id = $1 and k.revoked_at is null) as keys,
    (select count(*) from sessions s where s.tenant_id = $1) as sessions,
    i.images, i.image_bytes, e.edits, e.unfinished, e.result_bytes
from (
    select count(*) as images, coalesce(sum(i.bytes), 0)::bigint as image_bytes from images i where i.tenant_id = $1
) i
cross join (
    select
        count(*) as edits,
        count(*) filter (where e.finished_at is null) as unfinished,
        coalesce(sum(e.output_bytes), 0)::bigint as result_bytes
    from edits e
    where e.tenant_id = $1
) e
