update edits e
set checkpoint_key = null,
    checkpoint_digest = null,
    checkpoint_bytes = null,
    checkpoint_step = 0,
    claim_step = 0,
    restarts = least(e.restarts + 1, 32767)
from unnest($1::uuid[], $2::integer[], $3::text[]) as asked (id, epoch, key)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
    and e.checkpoint_key = asked.key
returning e.id, e.seq
