-- Of those that were announced to one queue ($1, $2, $3) and not claimed for a while, the $4 that have waited for longest lack their
-- messages; those of the others are there. What no living worker can do, since those that could are gone, goes back to the line
-- and leaves its place to others; so does what was announced to a cohort of workers that are gone.
with overdue as materialized (
    select e.id, e.model, e.needs, e.cohort, e.announced_at
    from edits e
    where e.state = 'queued' and e.announced_at is not null and e.next_announce_at <= now()
        and e.model = $1 and case when e.ahead then 'interactive' else e.class end = $2 and e.cohort is not distinct from $3
    order by e.announced_at, e.id
    limit $5
    for no key update skip locked
),
due as materialized (
    select
        o.id,
        row_number() over (order by o.announced_at, o.id) <= $4 as missing,
        o.needs = '{}' or exists (
            select from workers w
            where o.model = any (w.models) and o.needs <@ w.can and (o.cohort is null or o.cohort = w.cohort)
                and not w.draining and w.seen_at > now() - 3 * w.ttl
        ) as able
    from overdue o
),
again as (
    update edits e
    set announcements = case when not d.able then 0 when d.missing then e.announcements + 1 else e.announcements end,
        announced_at = case when d.able then e.announced_at end,
        next_announce_at = case when d.able then
            now() + case when d.missing then least(interval '10 s' * (2 ^ least(e.announcements, 10)), interval '2 min')
                else interval '10 s' end
        end
    from due d
    where e.id = d.id and e.id = any (array(select id from due))
        and e.state is not distinct from 'queued' and e.announced_at is not null
    returning e.id, e.tenant_id, e.model, e.class, e.ahead, e.cohort, e.trace, e.announcements, d.able and d.missing as missing
)
select id, tenant_id, model, class, ahead, cohort, trace, announcements from again where missing order by id
