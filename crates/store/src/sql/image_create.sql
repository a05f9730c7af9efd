-- xmax is 0 in a row that was inserted and not updated: only new bytes are charged. A blob that is listed for deletion is
-- about to go, so no row may refer to it.
with image as (
    insert into images as i (id, tenant_id, digest, blob_key, media_type, bytes, width, height)
    select $1, t.id, $3, $4, $5, $6, $7, $8
    from tenants t
    where t.id = $2 and t.erasing_at is null and not exists (select from blob_deletions d where d.key = $4)
    on conflict (tenant_id, digest) do update
    set used_at = now(), blob_key = excluded.blob_key
    returning i.*, i.xmax = 0 as is_new
),
charged as (
    insert into usage as u (tenant_id, day, bytes, uploaded)
    select tenant_id, (now() at time zone 'utc')::date, bytes, bytes from image where is_new
    on conflict (tenant_id, day) do update
    set bytes = u.bytes + excluded.bytes, uploaded = u.uploaded + excluded.uploaded
)
select * from image
