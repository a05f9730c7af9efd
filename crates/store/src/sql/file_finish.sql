-- All of a file came. Parts of one that is a picture are not needed: the picture is stored as all others are.
with done as (
    update files f
    set purpose = $3, filename = $4, bytes = $5, image_id = $6, ready = true,
        expires_at = now() + make_interval(secs => $7)
    where f.id = $2 and f.tenant_id = $1 and not f.ready
    returning f.*
),
charged as (
    insert into usage as u (tenant_id, day, bytes, uploaded)
    select d.tenant_id, (now() at time zone 'utc')::date, d.bytes, d.bytes from done d where d.image_id is null
    on conflict (tenant_id, day) do update
    set bytes = u.bytes + excluded.bytes, uploaded = u.uploaded + excluded.uploaded
),
unneeded as (
    delete from file_parts p using done d where p.file_id = d.id and d.image_id is not null
    returning p.blob_key
),
listed as (
    insert into blob_deletions (key, until) select u.blob_key, now() + interval '15 min' from unneeded u
    on conflict (key) do nothing
)
select * from done
