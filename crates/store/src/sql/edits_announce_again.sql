-- What no living worker can do, since those that could are gone, goes back to the line and leaves its place to others.
with overdue as materialized (
    select e.id, e.model, e.needs
    from edits e
    where e.state = 'queued' and e.announced_at is not null and e.next_announce_at <= now()
    order by e.id
    limit $1
    for no key update skip locked
),
due as materialized (
    select
        o.id,
        o.needs = '{}' or exists (
            select from workers w
            where o.model = any (w.models) and o.needs <@ w.can and not w.draining and w.seen_at > now() - 3 * w.ttl
        ) as able
    from overdue o
),
again as (
    update edits e
    set announcements = case when d.able then e.announcements + 1 else 0 end,
        announced_at = case when d.able then e.announced_at end,
        next_announce_at = case when d.able then
            now() + least(interval '10 s' * (2 ^ least(e.announcements, 10)), interval '2 min')
        end
    from due d
    where e.id = d.id and e.id = any (array(select id from due))
        and e.state is not distinct from 'queued' and e.announced_at is not null
    returning e.id, e.tenant_id, e.model, e.class, e.trace, e.announcements, e.image_id, e.parent_id, d.able
)
select
    e.id, e.tenant_id, e.model, e.class, e.trace, e.announcements,
    coalesce(i.blob_key, r.blob_key) as input_key,
    coalesce(i.digest, r.digest) as input_digest,
    coalesce(i.bytes, r.bytes) as input_bytes,
    coalesce(i.media_type, r.media_type) as input_media_type
from again e
left join lateral (select * from images i where i.id = e.image_id limit 1) i on true
left join lateral (
    select * from artifacts r where r.edit_id = e.parent_id and r.kind is not distinct from 'result' limit 1
) r on true
where e.able
order by e.class desc, e.id
