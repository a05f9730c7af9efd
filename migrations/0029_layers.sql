-- A turn that was laid over its parent's picture keeps what it changed (artifacts of the kind 'patch'). Its picture is made of layers:
-- the picture below all of these, and the patches over it, the oldest first.
-- A `lateral` with a limit is a lookup for each row: the plan is kept from when the tables were empty.
create function picture_layers(edit uuid)
returns table (blob_key text, digest bytea, bytes bigint, media_type text, patches jsonb)
language sql stable as $$
    with recursive up (n, id, parent_id, image_id, patch_key, patch_digest, patch_bytes) as (
        select 1, e.id, e.parent_id, e.image_id, a.blob_key, a.digest, a.bytes
        from (select e.id, e.parent_id, e.image_id from edits e where e.id = $1 limit 1) e
        left join lateral (
            select a.blob_key, a.digest, a.bytes from artifacts a
            where a.edit_id = e.id and a.kind is not distinct from 'patch' limit 1
        ) a on true
        union all
        select u.n + 1, e.id, e.parent_id, e.image_id, a.blob_key, a.digest, a.bytes
        from up u
        cross join lateral (select e.id, e.parent_id, e.image_id from edits e where e.id = u.parent_id limit 1) e
        left join lateral (
            select a.blob_key, a.digest, a.bytes from artifacts a
            where a.edit_id = e.id and a.kind is not distinct from 'patch' limit 1
        ) a on true
        where u.patch_key is not null
    )
    select b.blob_key, b.digest, b.bytes, b.media_type, (
        select coalesce(jsonb_agg(
            jsonb_build_object('key', u.patch_key, 'digest', encode(u.patch_digest, 'hex'), 'bytes', u.patch_bytes)
            order by u.n desc
        ), '[]')
        from up u where u.patch_key is not null
    )
    from (select u.* from up u order by u.n desc limit 1) l
    cross join lateral (
        (
            select i.blob_key, i.digest, i.bytes, i.media_type from images i
            where l.patch_key is not null and i.id = l.image_id limit 1
        )
        union all
        (
            select r.blob_key, r.digest, r.bytes, r.media_type from artifacts r
            where l.patch_key is null and r.edit_id = l.id and r.kind is not distinct from 'result' limit 1
        )
    ) b
$$;

-- What was computed of a turn's picture goes with it, too.
create or replace function intermediates_of_results() returns trigger
language plpgsql as $$
begin
    delete from intermediates i
    using (
        select n.tenant_id, n.key
        from old_rows o
        cross join lateral (
            select k.tenant_id, k.key
            from intermediates k
            where k.source = o.digest and k.tenant_id::text = split_part(o.blob_key, '/', 2)
            order by k.key
        ) n
        where o.kind in ('result', 'patch')
    ) d
    where i.tenant_id = d.tenant_id and i.key = d.key;
    return null;
end
$$;
