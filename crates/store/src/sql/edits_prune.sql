-- A look at $4 of the edits that are old enough, in the order of their ends from $3 on. An edit goes with what builds on it or
-- after that: of a chain that lies here whole, all of it at once. $2: what a session stays after its last turn; null, for ever.
with recursive looked as materialized (
    select e.id, e.finished_at
    from edits e
    where e.finished_at is not null and e.finished_at < now() - make_interval(secs => $1) and e.finished_at > $3
    order by e.finished_at
    limit $4
),
old as materialized (
    select q.id, q.tenant_id, q.parent_id
    from (select * from looked order by id) l
    cross join lateral (
        select e.id, e.tenant_id, e.parent_id
        from edits e
        where e.id = l.id and e.finished_at is not null
            and not exists (
                select from sessions s
                where s.id = e.session_id and ($2::float8 is null or s.used_at >= now() - make_interval(secs => $2))
            )
            -- What a catalog made stays as long after the catalog's end, or the last decision on its rows.
            and not exists (
                select from catalogs c
                where c.id = e.batch_id
                    and (c.ended_at is null or greatest(c.ended_at, c.decided_at) >= now() - make_interval(secs => $1))
            )
        for update skip locked
    ) q
),
kept (id, parent_id) as (
    select o.id, o.parent_id
    from old o
    where exists (select from edits c where c.parent_id = o.id and c.id <> all (array(select n.id from old n)))
    union
    select o.id, o.parent_id from kept k join old o on o.id = k.parent_id
),
doomed as materialized (
    select o.id, o.tenant_id from old o where o.id <> all (array(select k.id from kept k))
),
untold as (
    delete from edit_events v where v.edit_id = any (array(select d.id from doomed d))
),
listed as (
    insert into blob_deletions (key, until)
    select 't/' || d.tenant_id || '/edits/' || d.id || '/', now() from doomed d
    on conflict (key) do nothing
),
gone as (
    delete from edits e using doomed d where e.id = d.id
)
select
    (select count(*) from doomed) as pruned,
    (select count(*) from looked) as looked,
    (select max(l.finished_at) from looked l) as last
