-- What the edits start from that this worker may get next: interactive ones first, then those that were announced first.
select
    coalesce(i.blob_key, r.blob_key) as input_key,
    coalesce(i.digest, r.digest) as input_digest,
    coalesce(i.bytes, r.bytes) as input_bytes,
    coalesce(i.media_type, r.media_type) as input_media_type
from (
    select e.id, e.image_id, e.parent_id
    from edits e
    where e.state = 'queued' and e.announced_at is not null and e.model = any ($2)
        and e.needs <@ coalesce((select w.can from workers w where w.id = $1), '{}')
    order by e.class <> 'interactive' and not e.ahead, e.announced_at, e.id
    limit $3
) e
left join lateral (select * from images i where i.id = e.image_id limit 1) i on true
left join lateral picture_layers(e.parent_id) r on true
where coalesce(i.blob_key, r.blob_key) is not null
