with live as materialized (
    select e.id, e.state
    from edits e
    where e.id = any (array(
            select q.id from edits q where q.session_id = $2 and q.tenant_id is not distinct from $1 and q.finished_at is null
            union all
            select c.id
            from edits q
            cross join lateral (select c.id from edits c where c.parent_id = q.id and c.spec ? 'segments' and c.finished_at is null limit 1000) c
            where q.session_id = $2 and q.tenant_id is not distinct from $1
        ))
        and e.finished_at is null
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
