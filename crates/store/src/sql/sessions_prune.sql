with looked as materialized (
    select s.id, s.used_at
    from sessions s
    where s.used_at < now() - make_interval(secs => $1) and s.used_at > $2
    order by s.used_at
    limit $3
),
old as materialized (
    select q.id
    from looked l
    cross join lateral (
        select s.id from sessions s
        where s.id = l.id and s.used_at = l.used_at and not exists (select from edits e where e.session_id = s.id)
        for update skip locked
    ) q
),
gone as (
    delete from sessions s using old o where s.id = o.id
)
select
    (select count(*) from old) as pruned,
    (select count(*) from looked) as looked,
    (select max(l.used_at) from looked l) as last
