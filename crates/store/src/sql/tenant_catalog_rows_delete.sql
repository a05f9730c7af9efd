with doomed as materialized (
    select r.catalog_id, r.number
    from (select c.id from catalogs c where c.tenant_id = $1) c
    cross join lateral (
        select r.catalog_id, r.number from catalog_rows r where r.catalog_id = c.id order by r.catalog_id, r.number limit $2
    ) r
    limit $2
),
gone as (
    delete from catalog_rows r using doomed d where r.catalog_id = d.catalog_id and r.number = d.number
)
select count(*) as gone from doomed
