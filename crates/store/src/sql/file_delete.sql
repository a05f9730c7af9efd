with gone as (
    delete from files f where f.id = $2 and f.tenant_id = $1 and f.ready
    returning f.id, f.tenant_id
),
listed as (
    insert into blob_deletions (key, until)
    select 't/' || g.tenant_id || '/files/' || g.id || '/', now() + interval '15 min' from gone g
    on conflict (key) do nothing
)
select count(*) as gone from gone
