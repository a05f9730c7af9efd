-- What is counted is not locked: as many more as come at the same moment may be let in.
with asked as materialized (
    select
        t.id as tenant_id,
        $4::uuid is null or exists (select from images i where i.id = $4 and i.tenant_id = t.id) as image_found,
        (select count(*) from (select from sessions s where s.tenant_id = t.id limit $5) few) >= $5 as full
    from tenants t
    where t.id = $2
),
made as (
    insert into sessions (id, tenant_id, title, image_id)
    select $1, a.tenant_id, $3, $4 from asked a where a.image_found and not a.full
    on conflict (id) do nothing
)
select a.image_found, a.full from asked a
