update edits e
set lease_expires_at = greatest(e.lease_expires_at, clock_timestamp() + make_interval(secs => $4))
from unnest($2::uuid[], $3::integer[]) as asked (id, epoch)
where e.id = asked.id
    and e.id = any ($2)
    and e.epoch = asked.epoch
    and e.worker_id = $1
    and e.state is not distinct from 'running'
returning e.id, e.seq
