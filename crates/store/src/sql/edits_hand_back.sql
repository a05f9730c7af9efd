update edits e
set state = 'queued',
    seq = e.seq + 1,
    lease_expires_at = null,
    gpu_ms = e.gpu_ms + asked.gpu_ms
from unnest($1::uuid[], $2::integer[], $3::bigint[]) as asked (id, epoch, gpu_ms)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
