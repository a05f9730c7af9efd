-- Of several that make the same, the first is kept. Nothing is kept of an edit that was deleted meanwhile: its picture may be gone.
with edit as materialized (
    select e.id from edits e where e.id = $1 and e.tenant_id is not distinct from $2 for key share
),
kept as (
    insert into intermediates (tenant_id, key, kind, object, source, edit_id, blob_key, digest, bytes)
    select $2, n.key, n.kind, n.object, $3, e.id, n.blob_key, n.digest, n.bytes
    from unnest($4::bytea[], $5::text[], $6::bytea[], $7::text[], $8::bytea[], $9::bigint[])
        as n (key, kind, object, blob_key, digest, bytes)
    cross join edit e
    order by n.key
    on conflict (tenant_id, key) do nothing
    returning blob_key
)
select k.blob_key from kept k
