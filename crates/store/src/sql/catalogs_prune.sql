-- Rows of catalogs that ended long ago, and were not decided on since, $2 at most; catalogs that have none left go with all the rest.
with old as materialized (
    select c.id
    from catalogs c
    where c.ended_at is not null and c.ended_at < now() - make_interval(secs => $1)
        and (c.decided_at is null or c.decided_at < now() - make_interval(secs => $1))
    order by c.ended_at
    limit 16
    for update skip locked
),
doomed as materialized (
    select r.catalog_id, r.number
    from (select o.id from old o) o
    cross join lateral (
        select r.catalog_id, r.number from catalog_rows r where r.catalog_id = o.id order by r.catalog_id, r.number limit $2
    ) r
    limit $2
),
rows_gone as (
    delete from catalog_rows r using doomed d where r.catalog_id = d.catalog_id and r.number = d.number
),
gone as (
    delete from catalogs c
    using old o
    where c.id = o.id and not exists (select from catalog_rows r where r.catalog_id = o.id)
    returning c.id
)
select (select count(*) from doomed) + (select count(*) from gone) as pruned
