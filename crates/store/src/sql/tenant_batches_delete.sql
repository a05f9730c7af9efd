with doomed as materialized (
    select b.id from batches b where b.tenant_id = $1 limit $2
),
gone as (
    delete from batches b using doomed d where b.id = d.id
)
select count(*) as gone from doomed
