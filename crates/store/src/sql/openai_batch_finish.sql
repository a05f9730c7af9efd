-- The last row of a batch ended. What came of it is a file or two, made of its rows when somebody asks for them: only about how long
-- they are is known before.
with held as materialized (
    select b.id, b.tenant_id, b.refused, b.cancelling_at, b.expiring_at, c.cancelled_at,
        c.passed + c.review + c.rejected as done, c.failed + c.cancelled as lost
    from openai_batches b
    cross join lateral (select c.* from catalogs c where c.id = b.id limit 1) c
    where b.id = $1 and b.lease = $2 and b.done_at is null
    for update of b
),
sizes as (
    select coalesce(sum(400 + 4 * ((coalesce(a.bytes, 0) + 2) / 3)), 0)::bigint as bytes
    from held h
    cross join lateral (
        select r.edit_id from catalog_rows r
        where r.catalog_id = h.id and r.state in ('passed', 'review', 'rejected')
    ) r
    left join lateral (
        select a.bytes from artifacts a where a.edit_id = r.edit_id and a.kind in ('result', 'patch') limit 1
    ) a on true
),
files as (
    insert into files (id, tenant_id, purpose, filename, bytes, catalog_id, ready)
    select f.id, h.tenant_id, 'batch_output', f.name, f.bytes, h.id, true
    from held h
    cross join lateral (values
        ($3::uuid, 'batch_' || replace(h.id::text, '-', '') || '_output.jsonl', (select s.bytes from sizes s), h.done),
        ($4::uuid, 'batch_' || replace(h.id::text, '-', '') || '_error.jsonl', (h.lost + h.refused) * 400, h.lost + h.refused)
    ) as f (id, name, bytes, rows)
    where f.rows > 0
)
update openai_batches b
set outcome = case
        when h.expiring_at is not null then 'expired'
        when h.cancelled_at is not null then 'cancelled'
        else 'completed'
    end,
    output_file_id = case when h.done > 0 then $3::uuid end,
    error_file_id = case when h.lost + h.refused > 0 then $4::uuid end,
    finalizing_at = now(), done_at = clock_timestamp(), lease = null, lease_until = null
from held h
where b.id = h.id
