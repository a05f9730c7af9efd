-- Bulk that waits longer than $1 seconds goes with the interactive edits, an eighth of a model's slots at a time, so that a stream
-- of those which never ends does not keep it waiting for ever. What waits for longest is announced: bulk has a window of its own.
with old as materialized (
    select e.id, e.model, row_number() over (partition by e.model order by e.announced_at, e.id) as nth
    from edits e
    where e.state = 'queued' and e.announced_at is not null and e.class <> 'interactive' and not e.ahead
        and e.created_at < now() - make_interval(secs => $1)
),
models as materialized (
    select m.model, greatest(1, slots.n / 8) - ahead.n as room
    from (select distinct o.model from old o) m
    cross join lateral (
        select coalesce(sum(w.slots), 0) as n
        from workers w
        where m.model = any (w.models) and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) slots
    cross join lateral (
        select
            (select count(*) from edits e where e.state = 'queued' and e.announced_at is not null
                and e.model = m.model and e.ahead)
            + (select count(*) from edits e where e.state = 'running' and e.model = m.model and e.ahead) as n
    ) ahead
),
picked as materialized (
    select o.id from old o join models m on m.model = o.model where o.nth <= m.room order by o.id limit $2
),
locked as materialized (
    select e.id
    from picked p
    cross join lateral (
        select q.id
        from edits q
        where q.id = p.id and q.state is not distinct from 'queued' and q.announced_at is not null
        for no key update skip locked
    ) e
)
update edits e
set ahead = true,
    announcements = e.announcements + 1,
    next_announce_at = now() + interval '10 s'
where e.id = any (array(select id from locked))
    and e.state is not distinct from 'queued' and e.announced_at is not null
returning e.id, e.tenant_id, e.model, e.class, e.ahead, e.cohort, e.trace, e.announcements
