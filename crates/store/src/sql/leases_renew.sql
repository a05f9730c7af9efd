-- A lease whose row another statement is writing is left alone this time: one that waits must not hold up all others.
with held as materialized (
    select e.id
    from edits e
    join unnest($2::uuid[], $3::integer[]) as asked (id, epoch) on e.id = asked.id
    where e.id = any ($2)
        and e.epoch = asked.epoch
        and e.worker_id = $1
        and e.state is not distinct from 'running'
    order by e.id
    for no key update of e skip locked
)
update edits e
set lease_expires_at = greatest(e.lease_expires_at, clock_timestamp() + make_interval(secs => $4))
from held
where e.id = held.id and e.id = any (array(select id from held))
returning e.id, e.seq
