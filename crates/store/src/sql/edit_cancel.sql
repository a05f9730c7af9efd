with found as materialized (
    select e.id, e.state, e.worker_id, e.epoch
    from edits e
    where e.id = $2 and e.tenant_id = $1
    for no key update
),
ended as (
    update edits e
    set state = 'cancelled',
        seq = e.seq + 1,
        lease_expires_at = null,
        retry_at = null,
        announced_at = null,
        next_announce_at = null,
        finished_at = clock_timestamp()
    from found f
    where e.id = f.id and e.id = $2 and e.finished_at is null
    returning e.seq
)
select f.state, f.worker_id, f.epoch, (select seq from ended) as seq
from found f
