update tenants t
set in_flight = c.n
from (
    select e.tenant_id, count(*) as n from edits e where e.finished_at is null group by e.tenant_id
) c
where t.id = c.tenant_id and ($1::bigint, $2::bigint, $3::bigint, $4::bigint) is not null
