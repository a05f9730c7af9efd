-- One row whether it was made or not, none without the tenant. The tenant's row is locked, so that the bound holds.
with owner as materialized (
    select t.id from tenants t where t.id = $2 and t.erasing_at is null for no key update
),
room as materialized (
    select o.id, (
        select count(*) from (
            select from catalogs c where c.tenant_id = o.id and c.ended_at is null limit $8
        ) open
    ) >= $8 as full
    from owner o
),
batch as (
    insert into batches (id, tenant_id)
    select $1, r.id from room r where not r.full and not exists (
        select from catalogs c where c.tenant_id = r.id and c.idempotency_key = $5
    )
    returning id
),
made as (
    insert into catalogs (id, tenant_id, settings, made_by, idempotency_key, request_digest, priority)
    select b.id, $2, $3, $4, $5, $6, $7 from batch b
    on conflict do nothing
    returning id
)
select r.full, exists (select from made) as made from room r
