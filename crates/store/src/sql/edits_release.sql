-- Fair order within a model: interactive before the rest, then the tenants by turns (an edit's turn is its place in its
-- tenant's line, after what the tenant already has announced or running of the class), then age. Each class has a window of its
-- own: workers take interactive edits first, so bulk that is announced is in nobody's way. Every read is bounded by the room that there is,
-- however many tenants and edits wait: kinds (a model and what edits need of their worker) are found by hopping through the
-- index of the lines, tenants through the heads of `lines`, which lines_fold() brought up to date a moment ago under the same lock.
with recursive
kinds (model, needs) as (
    (
        select e.model, e.needs from edits e
        where e.state = 'queued' and e.announced_at is null and ($1::text is null or e.model = $1)
        order by e.model, e.needs limit 1
    )
    union all
    select n.model, n.needs
    from kinds k
    cross join lateral (
        select e.model, e.needs from edits e
        where e.state = 'queued' and e.announced_at is null and (e.model, e.needs) > (k.model, k.needs)
        order by e.model, e.needs limit 1
    ) n
    where $1::text is null or n.model = $1
),
models (model, interactive, bulk) as materialized (
    select
        m.model,
        least($3::bigint, greatest($2::bigint, 2 * slots.n) - unclaimed.interactive),
        least($3::bigint, greatest($2::bigint, 2 * slots.n) - unclaimed.bulk)
    from (select distinct k.model from kinds k) m
    cross join lateral (
        select coalesce(sum(w.slots), 0) as n
        from workers w
        where m.model = any (w.models) and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) slots
    cross join lateral (
        select
            count(*) filter (where e.class = 'interactive' or e.ahead) as interactive,
            count(*) filter (where e.class <> 'interactive' and not e.ahead) as bulk
        from edits e
        where e.state = 'queued' and e.announced_at is not null and e.model = m.model
    ) unclaimed
    where not (select paused from fleet)
),
-- Edits with needs have the window of the workers that can do them, and wait in the line while there are none. Where other workers
-- of the model can't, the message is for a cohort that can.
rooms (model, needs, interactive, bulk, interactive_of_model, bulk_of_model, cohort) as materialized (
    select
        k.model, k.needs,
        greatest(0, case when k.needs = '{}' then m.interactive else least(m.interactive, able.n - unclaimed.interactive) end),
        greatest(0, case when k.needs = '{}' then m.bulk else least(m.bulk, able.n - unclaimed.bulk) end),
        m.interactive, m.bulk,
        cohorts.cohort
    from kinds k
    join models m on m.model = k.model
    cross join lateral (
        select case coalesce(sum(w.slots), 0) when 0 then 0 else greatest($2, 2 * sum(w.slots)) end as n
        from workers w
        where k.needs <> '{}' and k.model = any (w.models) and k.needs <@ w.can
            and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) able
    cross join lateral (
        select
            count(*) filter (where e.class = 'interactive' or e.ahead) as interactive,
            count(*) filter (where e.class <> 'interactive' and not e.ahead) as bulk
        from edits e
        where k.needs <> '{}' and e.state = 'queued' and e.announced_at is not null and e.model = k.model and e.needs = k.needs
    ) unclaimed
    left join lateral (
        select w.cohort
        from workers w
        where k.needs <> '{}' and k.model = any (w.models) and k.needs <@ w.can and w.cohort is not null
            and not w.draining and w.seen_at > now() - 3 * w.ttl
            and exists (
                select from workers o
                where k.model = any (o.models) and not k.needs <@ o.can
                    and not o.draining and o.seen_at > now() - 3 * o.ttl
            )
        group by w.cohort
        order by sum(w.slots) desc, w.cohort
        limit 1
    ) cohorts on true
),
-- What each tenant has announced or running, by class. The fleet's size bounds it, not the queue's.
busy (model, class, tenant_id, n) as materialized (
    select b.model, b.class, b.tenant_id, count(*)
    from models m
    cross join lateral (
        select a.model, a.class, a.tenant_id from edits a
        where a.state = 'queued' and a.announced_at is not null and a.model = m.model
        union all
        select a.model, a.class, a.tenant_id from edits a where a.state = 'running' and a.model = m.model
    ) b
    where m.interactive > 0 or m.bulk > 0
    group by b.model, b.class, b.tenant_id
),
-- Of each class the lines that may give an edit: no more than there is room for, those with the least under way first, then
-- those with the oldest edit.
near as materialized (
    select r.model, r.needs, r.cohort, c.room, c.of_model, c.class, l.tenant_id, l.busy, l.queued
    from rooms r
    cross join lateral (
        with recursive classes (class) as (
            (
                select h.class from lines h where h.model = r.model and h.needs = r.needs and h.head is not null
                order by h.class limit 1
            )
            union all
            select n.class
            from classes c
            cross join lateral (
                select h.class from lines h
                where h.model = r.model and h.needs = r.needs and h.head is not null and h.class > c.class
                order by h.class limit 1
            ) n
        )
        select
            k.class,
            case k.class when 'interactive' then r.interactive else r.bulk end as room,
            case k.class when 'interactive' then r.interactive_of_model else r.bulk_of_model end as of_model
        from classes k
    ) c
    cross join lateral (
        select n.*
        from (
            (
                select h.tenant_id, 0::bigint as busy, h.queued, h.head
                from lines h
                where h.model = r.model and h.needs = r.needs and h.class = c.class and h.head is not null
                    -- The offset makes it a lookup of the tenant's edits for each line; a join would read all of the model's.
                    and not exists (
                        select from edits a where a.state = 'queued' and a.announced_at is not null
                            and a.model = h.model and a.tenant_id = h.tenant_id and a.class = h.class
                        offset 0
                    )
                    and not exists (
                        select from edits a
                        where a.state = 'running' and a.model = h.model and a.tenant_id = h.tenant_id and a.class = h.class
                        offset 0
                    )
                order by h.head
                limit c.room
            )
            union all
            select h.tenant_id, b.n, h.queued, h.head
            from busy b
            cross join lateral (
                select * from lines h
                where h.model = r.model and h.needs = r.needs and h.class = c.class and h.tenant_id = b.tenant_id
                limit 1
            ) h
            where b.model = r.model and b.class = c.class and h.head is not null
        ) n
        order by n.busy, n.head
        limit c.room
    ) l
    where c.room > 0
),
-- The turn at which their edits fill the room: what is behind it is not read. How many edits the lines give up to a turn is a
-- sum of ramps, from what a tenant has under way to that and what its line holds.
ramps as (
    select s.model, s.needs, s.class, s.room, s.at, sum(s.slope) as bend
    from (
        select n.model, n.needs, n.class, n.room, n.busy as at, 1 as slope from near n
        union all
        select n.model, n.needs, n.class, n.room, n.busy + greatest(n.queued, 1), -1 from near n
    ) s
    group by s.model, s.needs, s.class, s.room, s.at
),
slopes as (
    select s.*, sum(s.bend) over line as slope, lead(s.at) over line - s.at as length
    from ramps s
    window line as (partition by s.model, s.needs, s.class order by s.at)
),
given as (
    select s.*,
        coalesce(sum(s.slope * s.length) over (
            partition by s.model, s.needs, s.class order by s.at rows between unbounded preceding and 1 preceding
        ), 0) as n
    from slopes s
),
turns as materialized (
    select distinct on (g.model, g.needs, g.class)
        g.model, g.needs, g.class, case when g.slope > 0 then g.at + ceil((g.room - g.n) / g.slope) end as turn
    from given g
    where g.n < g.room
    order by g.model, g.needs, g.class, g.at desc
),
offered as materialized (
    select n.*, e.id, e.place, n.class <> 'interactive' as bulk, n.busy + e.place as turn
    from near n
    cross join lateral (
        select least(n.room, coalesce(t.turn, n.busy + n.room) - n.busy)::bigint as most
        from turns t
        where t.model = n.model and t.needs = n.needs and t.class = n.class
    ) t
    left join lateral (
        select q.id, row_number() over (order by q.id) as place
        from (
            select e.id from edits e
            where e.state = 'queued' and e.announced_at is null
                and e.model = n.model and e.needs = n.needs and e.class = n.class and e.tenant_id = n.tenant_id
            order by e.id limit t.most
        ) q
    ) e on true
    where t.most > 0
),
picked as materialized (
    select q.*, row_number() over (order by q.bulk, q.turn, q.id) as place_of_all
    from (
        select p.*, row_number() over (partition by p.model, p.bulk order by p.turn, p.id) as nth
        from (
            select o.*, row_number() over (partition by o.model, o.needs, o.bulk order by o.turn, o.id) as nth_of_kind
            from offered o
            where o.id is not null
        ) p
        where p.nth_of_kind <= p.room
    ) q
    where q.nth <= q.of_model
    order by place_of_all
    limit $3
),
locked as materialized (
    select e.id, p.place_of_all as place, p.cohort
    from (select * from picked order by id) p
    -- One row at a time by its id, whatever the planner thinks of the table.
    cross join lateral (
        select q.id
        from edits q
        where q.id = p.id and q.state is not distinct from 'queued' and q.announced_at is null
        for no key update skip locked
    ) e
),
-- In the order of their ids: `width_bucket` finds an edit's place among them by halves, where a join would compare each with each.
these as materialized (
    select
        array(select id from locked order by id) as ids,
        array(select place from locked order by id) as places,
        array(select cohort from locked order by id) as cohorts
),
released as (
    update edits e
    set announced_at = now(),
        announcements = 1,
        next_announce_at = now() + interval '10 s',
        ahead = false,
        cohort = l.cohorts[width_bucket(e.id, l.ids)]
    from these l
    where e.id = any (array(select id from locked order by id))
        and e.state is not distinct from 'queued' and e.announced_at is null
    returning
        e.id, e.tenant_id, e.model, e.class, e.ahead, e.cohort, e.trace, e.announcements, e.needs, e.parent_id,
        l.places[width_bucket(e.id, l.ids)] as place
),
-- The oldest that is left of the lines which gave some, or had none to give.
left_over as materialized (
    select g.model, g.needs, g.class, g.tenant_id, e.id as head
    from (
        select p.model, p.needs, p.class, p.tenant_id from picked p
        union
        select o.model, o.needs, o.class, o.tenant_id from offered o where o.id is null
    ) g
    left join lateral (
        select e.id from edits e
        where e.state = 'queued' and e.announced_at is null
            and e.model = g.model and e.needs = g.needs and e.class = g.class and e.tenant_id = g.tenant_id
            and e.id not in (select l.id from locked l)
        order by e.id limit 1
    ) e on true
),
moved as (
    update lines h
    set head = o.head
    from left_over o
    where h.model = o.model and h.needs = o.needs and h.class = o.class and h.tenant_id = o.tenant_id
        and h.head is distinct from o.head
),
-- A turn is offered to the worker of its parent, which has at hand what that edit left, if a slot of it is free now and another worker
-- could come before it.
held as materialized (
    select r.worker_id, count(*) as n from edits r where r.state = 'running' group by r.worker_id
),
warm as materialized (
    select r.id, w.id as worker, w.slots - coalesce((select h.n from held h where h.worker_id = w.id), 0) as free,
        row_number() over (partition by w.id order by r.place) as nth
    from released r
    cross join lateral (select p.worker_id from edits p where p.id = r.parent_id limit 1) p
    join workers w on w.id = p.worker_id
    where r.model = any (w.models) and r.needs <@ w.can and not w.draining and w.seen_at > now() - 3 * w.ttl
        and exists (
            select from workers o
            where o.id <> w.id and r.model = any (o.models) and not o.draining and o.seen_at > now() - 3 * o.ttl
        )
)
select r.id, r.tenant_id, r.model, r.class, r.ahead, r.cohort, r.trace, r.announcements, w.worker
from released r
left join warm w on w.id = r.id and w.nth <= w.free
order by r.place
