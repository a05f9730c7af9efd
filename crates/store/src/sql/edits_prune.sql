with old as materialized (
    select e.id, e.tenant_id
    from edits e
    where e.finished_at is not null and e.finished_at < now() - make_interval(secs => $1)
        and not exists (select from edits c where c.parent_id = e.id)
        and not exists (
            select from sessions s where s.id = e.session_id and s.used_at >= now() - make_interval(secs => $1)
        )
    order by e.finished_at
    limit $2
    for update of e skip locked
),
untold as (
    delete from edit_events v using old o where v.edit_id = o.id
),
listed as (
    insert into blob_deletions (key, until)
    select 't/' || o.tenant_id || '/edits/' || o.id || '/', now() from old o
    on conflict (key) do nothing
),
gone as (
    delete from edits e using old o where e.id = o.id
)
select count(*) as pruned from old
