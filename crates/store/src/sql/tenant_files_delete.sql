with doomed as materialized (
    select f.id from files f where f.tenant_id = $1 limit $2 for update skip locked
),
gone as (
    delete from files f using doomed d where f.id = d.id
)
select count(*) as gone from doomed
