-- Of edits that ended while their workers were computing, each claim once.
update edits e
set gpu_ms = e.gpu_ms + asked.gpu_ms,
    charged_epoch = asked.epoch
from unnest($1::uuid[], $2::integer[], $3::bigint[]) as asked (id, epoch, gpu_ms)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.finished_at is not null
    and coalesce(e.charged_epoch, 0) < asked.epoch
returning e.id, e.seq
