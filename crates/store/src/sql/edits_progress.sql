update edits e
set seq = e.seq + 1,
    stage = asked.stage,
    step = asked.step,
    steps = asked.steps
from unnest($1::uuid[], $2::integer[], $3::text[], $4::integer[], $5::integer[]) as asked (id, epoch, stage, step, steps)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
