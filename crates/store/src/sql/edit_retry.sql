-- A turn whose parent has no result waits for that one again, in case it was retried as well.
with found as materialized (
    select e.id, e.state from edits e where e.id = $1 for no key update
),
again as (
    update edits e
    set state = case when e.error ->> 'class' = 'parent' then 'waiting' else 'queued' end,
        seq = e.seq + 1,
        attempts = 0,
        restarts = 0,
        hangs = 0,
        -- It was charged when the edit failed.
        gpu_ms = 0,
        error = null,
        finished_at = null,
        announcements = 0
    from found f
    where e.id = f.id and e.id = $1 and e.state is not distinct from 'failed'
    returning e.state, e.seq
)
select f.state as was, a.state, a.seq
from found f
left join again a on true
