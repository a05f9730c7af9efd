with doomed as materialized (
    select s.id from sessions s where s.tenant_id = $1 limit $2 for update skip locked
),
gone as (
    delete from sessions s using doomed d where s.id = d.id
)
select count(*) as gone from doomed
