select
    model,
    class,
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'queued' and not announced) as queued,
    count(*) filter (where state = 'queued' and announced) as announced,
    count(*) filter (where state = 'running') as running,
    coalesce(extract(epoch from now() - min(created_at) filter (where state = 'queued')), 0)::double precision as oldest_queued_s,
    greatest(0, extract(epoch from now() - min(lease_expires_at)))::double precision as lease_overdue_s
from (
    select model, class, state, false as announced, created_at, lease_expires_at from edits
    where state = 'queued' and announced_at is null
    union all
    select model, class, state, true, created_at, lease_expires_at from edits
    where state = 'queued' and announced_at is not null
    union all
    select model, class, state, false, created_at, lease_expires_at from edits where state = 'running'
    union all
    select model, class, state, false, created_at, lease_expires_at from edits
    where state = 'waiting' and retry_at is not null
    union all
    select model, class, state, false, created_at, lease_expires_at from edits
    where state = 'waiting' and retry_at is null
) live
group by model, class
order by model, class
