update edits e
set seq = e.seq + case when asked.located is not null and e.located is null then 2 else 1 end,
    located = coalesce(e.located, asked.located),
    stage = asked.stage,
    step = asked.step,
    steps = asked.steps
from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::integer[], $6::text[])
    as asked (id, epoch, stage, step, steps, located)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
