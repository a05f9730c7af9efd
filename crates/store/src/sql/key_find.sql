-- What is stored is summed up only for a tenant that may not store more than so much.
select
    k.id as key_id, k.role, k.expires_at, t.*,
    case when t.stored_bytes_limit is not null then (
        select greatest(coalesce(sum(u.bytes - u.freed), 0), 0) from usage u where u.tenant_id = t.id
    ) end::bigint as stored
from (
    select f.id from api_keys f where f.hash = $1
    union all
    select s.key_id from sign_ins s where s.hash = $1 and not s.once and s.expires_at > now()
) found
join api_keys k on k.id = found.id
join tenants t on t.id = k.tenant_id
where k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
