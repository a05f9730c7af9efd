with old as materialized (
    select f.id, f.tenant_id from files f where f.expires_at < now() order by f.expires_at limit $1
    for update skip locked
),
gone as (
    delete from files f using old o where f.id = o.id
),
listed as (
    insert into blob_deletions (key, until)
    select 't/' || o.tenant_id || '/files/' || o.id || '/', now() + interval '15 min' from old o
    on conflict (key) do nothing
)
select count(*) as gone from old
