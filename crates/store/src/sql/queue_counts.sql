-- What waits is counted in `lines`; what is announced and what runs is no more than the fleet takes at once.
with kinds as (
    select
        k.model, k.class, k.needs,
        greatest(sum(k.waiting), 0) as waiting,
        greatest(sum(k.queued), 0) as queued,
        sum(k.announced) as announced,
        sum(k.running) as running,
        min(k.oldest) as oldest,
        min(k.lease_expires_at) as lease_expires_at
    from (
        select l.model, l.class, l.needs, sum(l.waiting) as waiting, sum(l.queued) as queued, 0 as announced, 0 as running,
            null::timestamptz as oldest, null::timestamptz as lease_expires_at
        from lines l
        group by l.model, l.class, l.needs
        union all
        select c.model, c.class, c.needs, sum(c.waiting), sum(c.queued), 0, 0, null, null
        from line_changes c
        group by c.model, c.class, c.needs
        union all
        select e.model, e.class, e.needs, 0, 0, count(*), 0, min(e.created_at), null
        from edits e
        where e.state = 'queued' and e.announced_at is not null
        group by e.model, e.class, e.needs
        union all
        select e.model, e.class, e.needs, 0, 0, 0, count(*), null, min(e.lease_expires_at)
        from edits e
        where e.state = 'running'
        group by e.model, e.class, e.needs
    ) k
    group by k.model, k.class, k.needs
)
select
    k.model,
    k.class,
    sum(k.waiting)::bigint as waiting,
    sum(k.queued)::bigint as queued,
    sum(k.announced)::bigint as announced,
    sum(k.running)::bigint as running,
    coalesce(sum(k.queued) filter (where not able.yes), 0)::bigint as unable,
    coalesce(jsonb_agg(k.needs) filter (where k.queued > 0 and not able.yes), '[]') as unable_needs,
    coalesce(extract(epoch from now() - least(min(k.oldest), min(line.oldest))), 0)::double precision
        as oldest_queued_s,
    greatest(0, extract(epoch from now() - min(k.lease_expires_at)))::double precision as lease_overdue_s
from kinds k
-- Whether a living worker can do what edits of this kind need.
cross join lateral (
    select k.needs = '{}' or exists (
        select from workers w
        where k.model = any (w.models) and k.needs <@ w.can and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) as yes
) able
-- The oldest of the lines with the oldest heads: of a head that was cancelled since, the next in its line.
left join lateral (
    select min(e.created_at) as oldest
    from (
        (
            select l.tenant_id from lines l
            where l.model = k.model and l.class = k.class and l.needs = k.needs and l.head is not null
            order by l.head
            limit 20
        )
        union
        (
            select c.tenant_id from line_changes c
            where c.model = k.model and c.class = k.class and c.needs = k.needs and c.head is not null
            order by c.head
            limit 20
        )
    ) l
    cross join lateral (
        select e.created_at from edits e
        where e.state = 'queued' and e.announced_at is null
            and e.model = k.model and e.needs = k.needs and e.class = k.class and e.tenant_id = l.tenant_id
        order by e.id
        limit 1
    ) e
) line on true
where k.waiting + k.queued + k.announced + k.running > 0
group by k.model, k.class
order by k.model, k.class
