-- `is not distinct from` keeps the planner off the partial indexes: the edits are named, and the primary key finds them.
with claimed as (
    update edits e
    set state = 'running',
        seq = e.seq + 1,
        epoch = e.epoch + 1,
        worker_id = $1,
        lease_expires_at = clock_timestamp() + make_interval(secs => $3),
        claim_step = e.checkpoint_step,
        able_epoch = case when e.needs = '{}' then e.able_epoch else e.epoch + 1 end,
        announced_at = null,
        next_announce_at = null,
        announcements = 0,
        stage = null,
        step = null,
        steps = null,
        started_at = coalesce(e.started_at, clock_timestamp())
    where e.id = any ($2)
        and e.state is not distinct from 'queued'
        and e.epoch < 2147483647
        and e.needs <@ coalesce((select w.can from workers w where w.id = $1), '{}')
    returning e.*
)
select
    c.id, c.tenant_id, c.session_id, c.epoch, c.model, c.class, c.spec, c.seq, c.attempts, c.max_attempts, c.hangs, c.trace, c.located is not null as located,
    c.checkpoint_key, c.checkpoint_step, c.checkpoint_digest, c.checkpoint_bytes,
    coalesce(i.blob_key, r.blob_key) as input_key,
    coalesce(i.digest, r.digest) as input_digest,
    coalesce(i.bytes, r.bytes) as input_bytes,
    coalesce(i.media_type, r.media_type) as input_media_type,
    r.patches as input_patches,
    m.blob_key as mask_key, m.digest as mask_digest, m.bytes as mask_bytes, m.media_type as mask_media_type
from claimed c
left join lateral (select * from images i where i.id = c.image_id limit 1) i on true
left join lateral picture_layers(c.parent_id) r on true
left join lateral (select * from images m where m.id = c.mask_id limit 1) m on true
