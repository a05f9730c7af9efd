-- The tenant knows how many have not ended, and they are among its newest: without any, nothing is read.
with live as materialized (
    select e.id, e.state
    from edits e
    where e.id = any (array(
        select q.id from edits q
        where q.tenant_id between $1 and $1 and q.finished_at is null
        order by q.tenant_id desc, q.id desc
        limit least($2, (select t.in_flight from tenants t where t.id = $1))
    )) and e.finished_at is null
    order by e.id
    for no key update
)
update edits e
set state = 'cancelled',
    seq = e.seq + 1,
    lease_expires_at = null,
    retry_at = null,
    announced_at = null,
    next_announce_at = null,
    webhook_url = null,
    finished_at = clock_timestamp()
from live l
where e.id = l.id and e.id = any (array(select id from live)) and e.finished_at is null
returning e.id, e.epoch, l.state = 'running' as was_running
