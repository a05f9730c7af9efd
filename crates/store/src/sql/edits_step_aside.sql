-- Which bulk gives its slot to interactive edits that have waited for one: as many as there are of those, less the slots that are
-- free and the edits that were asked before. Each edit is asked at most $2 times in its life, those first that were asked least.
-- Who was asked under this claim is told again, in case the message got lost; who has not stepped aside for half a minute
-- counts no longer.
with demand as materialized (
    select e.model, e.needs, count(*) filter (where e.announced_at <= now() - make_interval(secs => $1)) as edits
    from edits e
    where e.state = 'queued' and e.announced_at is not null and e.class = 'interactive'
    group by e.model, e.needs
),
running as materialized (
    select
        e.id, e.epoch, e.class, e.ahead, e.asides, e.aside_epoch is not distinct from e.epoch as asked, e.aside_at,
        w.models, w.can, w.steps_aside
    from edits e
    cross join lateral (
        select w.models, w.can, w.steps_aside
        from workers w
        where w.id = e.worker_id and not w.draining and w.seen_at > now() - 3 * w.ttl
        limit 1
    ) w
    where e.state = 'running' and exists (select from demand)
),
wanted as materialized (
    select d.model, d.needs, d.edits - greatest(0, slots.n - r.edits) - r.asked as n
    from demand d
    cross join lateral (
        select coalesce(sum(w.slots), 0) as n
        from workers w
        where d.model = any (w.models) and d.needs <@ w.can and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) slots
    cross join lateral (
        select count(*) as edits, count(*) filter (where r.asked and r.aside_at > now() - interval '30 s') as asked
        from running r
        where d.model = any (r.models) and d.needs <@ r.can
    ) r
    where d.edits > 0
),
picked as materialized (
    select distinct v.id
    from wanted w
    cross join lateral (
        select r.id
        from running r
        where r.class <> 'interactive' and r.steps_aside and not r.asked and r.asides < $2
            and w.model = any (r.models) and w.needs <@ r.can
        order by r.ahead, r.asides, r.id desc
        limit greatest(w.n, 0)
    ) v
    where w.n > 0
),
locked as materialized (
    select e.id
    from (select p.id from picked p order by p.id) p
    cross join lateral (
        select q.id from edits q where q.id = p.id and q.state is not distinct from 'running' for no key update skip locked
    ) e
),
now_asked as (
    update edits e
    set aside_epoch = e.epoch,
        aside_at = now(),
        asides = e.asides + 1
    where e.id = any (array(select id from locked)) and e.state is not distinct from 'running'
    returning e.id, e.epoch
)
select n.id, n.epoch, true as first from now_asked n
union all
select r.id, r.epoch, false from running r where r.asked and r.aside_at > now() - interval '30 s'
union all
select null, null, false where exists (select from demand)
