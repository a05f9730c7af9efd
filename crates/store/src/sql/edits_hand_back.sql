update edits e
set state = 'queued',
    seq = e.seq + 1,
    lease_expires_at = null
from unnest($1::uuid[], $2::integer[]) as asked (id, epoch)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
