select
    k.model,
    k.class,
    sum(k.waiting)::bigint as waiting,
    sum(k.queued)::bigint as queued,
    sum(k.announced)::bigint as announced,
    sum(k.running)::bigint as running,
    coalesce(sum(k.queued) filter (where not able.yes), 0)::bigint as unable,
    coalesce(jsonb_agg(k.needs) filter (where k.queued > 0 and not able.yes), '[]') as unable_needs,
    coalesce(extract(epoch from now() - min(k.oldest)), 0)::double precision as oldest_queued_s,
    greatest(0, extract(epoch from now() - min(k.lease_expires_at)))::double precision as lease_overdue_s
from (
    select
        model, class, needs,
        count(*) filter (where state = 'waiting') as waiting,
        count(*) filter (where state = 'queued' and not announced) as queued,
        count(*) filter (where state = 'queued' and announced) as announced,
        count(*) filter (where state = 'running') as running,
        min(created_at) filter (where state = 'queued') as oldest,
        min(lease_expires_at) as lease_expires_at
    from (
        select model, class, needs, state, false as announced, created_at, lease_expires_at from edits
        where state = 'queued' and announced_at is null
        union all
        select model, class, needs, state, true, created_at, lease_expires_at from edits
        where state = 'queued' and announced_at is not null
        union all
        select model, class, needs, state, false, created_at, lease_expires_at from edits where state = 'running'
        union all
        select model, class, needs, state, false, created_at, lease_expires_at from edits
        where state = 'waiting' and retry_at is not null
        union all
        select model, class, needs, state, false, created_at, lease_expires_at from edits
        where state = 'waiting' and retry_at is null
    ) live
    group by model, class, needs
) k
-- Whether a living worker can do what edits of this kind need.
cross join lateral (
    select k.needs = '{}' or exists (
        select from workers w
        where k.model = any (w.models) and k.needs <@ w.can and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) as yes
) able
group by k.model, k.class
order by k.model, k.class
