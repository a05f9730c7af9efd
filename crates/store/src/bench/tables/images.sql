insert into images (id, tenant_id, digest, blob_key, media_type, bytes, width, height)
select gen_random_uuid(), t.id, sha256(t.id::text::bytea), 't/' || t.id || '/images/1', 'image/png', 400000, 512, 512
from tenants t
where ($1::bigint, $2::bigint, $3::bigint, $4::bigint) is not null
