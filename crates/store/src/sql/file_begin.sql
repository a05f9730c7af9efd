-- A file that is on its way: it goes by itself unless it is finished in time. None without the tenant, or where it has as many as it may.
insert into files (id, tenant_id, expires_at)
select $2, t.id, now() + make_interval(secs => $4)
from tenants t
where t.id = $1 and t.erasing_at is null
    and (select count(*) from (select from files f where f.tenant_id = $1 limit $3) f) < $3
returning id
