-- Fair order within a model: interactive before the rest, then the tenants by turns (an edit's turn is its place in its
-- tenant's line, after what the tenant already has announced or running), then age. Every read is bounded: kinds (a model
-- and what edits need of their worker) and tenants are found by hopping through the index of the lines, and no more of a line
-- is read than there is room for.
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
models (model, room) as materialized (
    select m.model, least($3::bigint, greatest($2::bigint, 2 * slots.n) - unclaimed.n)
    from (select distinct k.model from kinds k) m
    cross join lateral (
        select coalesce(sum(w.slots), 0) as n
        from workers w
        where m.model = any (w.models) and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) slots
    cross join lateral (
        select count(*) as n from edits e
        where e.state = 'queued' and e.announced_at is not null and e.model = m.model
    ) unclaimed
    where not (select paused from fleet)
),
-- Edits with needs have the window of the workers that can do them, and wait in the line while there are none.
rooms (model, needs, room, of_model) as materialized (
    select
        k.model, k.needs,
        case when k.needs = '{}' then m.room else least(m.room, case able.n when 0 then 0 else greatest($2, 2 * able.n) - unclaimed.n end) end,
        m.room
    from kinds k
    join models m on m.model = k.model
    cross join lateral (
        select coalesce(sum(w.slots), 0) as n
        from workers w
        where k.needs <> '{}' and k.model = any (w.models) and k.needs <@ w.can
            and not w.draining and w.seen_at > now() - 3 * w.ttl
    ) able
    cross join lateral (
        select count(*) as n from edits e
        where k.needs <> '{}' and e.state = 'queued' and e.announced_at is not null and e.model = k.model and e.needs = k.needs
    ) unclaimed
),
picked as materialized (
    select q.id, row_number() over (order by q.bulk, q.turn, q.id) as place
    from (
        select
            p.id, p.bulk, p.turn, r.of_model,
            row_number() over (partition by r.model order by p.bulk, p.turn, p.id) as nth
        from rooms r
        cross join lateral (
            with recursive lines (class, tenant_id) as (
                (
                    select e.class, e.tenant_id from edits e
                    where e.state = 'queued' and e.announced_at is null and e.model = r.model and e.needs = r.needs
                    order by e.class, e.tenant_id limit 1
                )
                union all
                select n.class, n.tenant_id
                from lines l
                cross join lateral (
                    select e.class, e.tenant_id from edits e
                    where e.state = 'queued' and e.announced_at is null and e.model = r.model and e.needs = r.needs
                        and (e.class, e.tenant_id) > (l.class, l.tenant_id)
                    order by e.class, e.tenant_id limit 1
                ) n
            )
            select e.id, l.class <> 'interactive' as bulk, had.n + e.place as turn
            from lines l
            cross join lateral (
                select
                    (select count(*) from edits a where a.state = 'queued' and a.announced_at is not null
                        and a.model = r.model and a.tenant_id = l.tenant_id)
                    + (select count(*) from edits a where a.state = 'running'
                        and a.model = r.model and a.tenant_id = l.tenant_id) as n
                -- Counted once for each line, not for each edit in it.
                offset 0
            ) had
            cross join lateral (
                select q.id, row_number() over (order by q.id) as place
                from (
                    select e.id from edits e
                    where e.state = 'queued' and e.announced_at is null
                        and e.model = r.model and e.needs = r.needs and e.class = l.class and e.tenant_id = l.tenant_id
                    order by e.id limit r.room
                ) q
            ) e
            order by bulk, turn, e.id
            limit r.room
        ) p
        where r.room > 0
    ) q
    where q.nth <= q.of_model
    order by place
    limit $3
),
locked as materialized (
    select e.id, p.place
    from (select * from picked order by id) p
    -- One row at a time by its id, whatever the planner thinks of the table.
    cross join lateral (
        select q.id
        from edits q
        where q.id = p.id and q.state is not distinct from 'queued' and q.announced_at is null
        for no key update skip locked
    ) e
),
released as (
    update edits e
    set announced_at = now(),
        announcements = 1,
        next_announce_at = now() + interval '10 s'
    from unnest(array(select id from locked order by id), array(select place from locked order by id)) as l (id, place)
    where e.id = l.id and e.id = any (array(select id from locked))
        and e.state is not distinct from 'queued' and e.announced_at is null
    returning e.id, e.tenant_id, e.model, e.class, e.trace, e.announcements, e.image_id, e.parent_id, l.place
)
select
    e.id, e.tenant_id, e.model, e.class, e.trace, e.announcements,
    coalesce(i.blob_key, r.blob_key) as input_key,
    coalesce(i.digest, r.digest) as input_digest,
    coalesce(i.bytes, r.bytes) as input_bytes,
    coalesce(i.media_type, r.media_type) as input_media_type
from released e
left join lateral (select * from images i where i.id = e.image_id limit 1) i on true
left join lateral (
    select * from artifacts r where r.edit_id = e.parent_id and r.kind is not distinct from 'result' limit 1
) r on true
order by e.place
