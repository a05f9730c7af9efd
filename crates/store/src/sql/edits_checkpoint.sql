update edits e
set checkpoint_key = asked.key,
    checkpoint_step = asked.step,
    checkpoint_digest = asked.digest,
    checkpoint_bytes = asked.bytes
from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::bytea[], $6::bigint[])
    as asked (id, epoch, key, step, digest, bytes)
-- As it was when the statement began: only the holder of the lease writes checkpoints, one after the other.
cross join lateral (select b.checkpoint_key from edits b where b.id = asked.id limit 1) before
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
    and e.checkpoint_step < asked.step
returning e.id, e.seq, before.checkpoint_key as replaced
