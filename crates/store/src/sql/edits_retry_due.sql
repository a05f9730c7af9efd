with due as materialized (
    select e.id
    from edits e
    where e.state = 'waiting' and e.retry_at is not null and e.retry_at <= now()
    order by e.retry_at
    limit $1
    for no key update skip locked
)
update edits e
set state = 'queued',
    seq = e.seq + 1,
    retry_at = null
from due d
where e.id = d.id and e.id = any (array(select id from due))
    and e.state is not distinct from 'waiting'
returning e.id, e.tenant_id, e.epoch, e.state, e.seq, null::uuid as worker_id
