with doomed as materialized (
    select i.id from images i where i.tenant_id = $1 limit $2 for update skip locked
),
gone as (
    delete from images i using doomed d where i.id = d.id
)
select count(*) as gone from doomed
