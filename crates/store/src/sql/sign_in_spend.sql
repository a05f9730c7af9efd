with spent as (
    delete from sign_ins where hash = $1 and once and expires_at > now() returning key_id
)
select
    k.id as key_id, k.role, k.expires_at, t.*,
    case when t.stored_bytes_limit is not null then (
        select greatest(coalesce(sum(u.bytes - u.freed), 0), 0) from usage u where u.tenant_id = t.id
    ) end::bigint as stored
from spent s
join api_keys k on k.id = s.key_id
join tenants t on t.id = k.tenant_id
where k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
