with old as materialized (
    select s.id
    from sessions s
    where s.used_at < now() - make_interval(secs => $1)
        and not exists (select from edits e where e.session_id = s.id)
    order by s.used_at
    limit $2
    for update skip locked
),
gone as (
    delete from sessions s using old o where s.id = o.id
)
select count(*) as pruned from old
