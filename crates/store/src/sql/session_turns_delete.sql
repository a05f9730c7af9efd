-- The newest turns of a session, all of them or none, as `edits_delete.sql` deletes a tree.
with few as materialized (
    select e.id
    from edits e
    where e.session_id = $2 and e.tenant_id is not distinct from $1
    order by e.session_id desc, e.id desc
    limit $3
),
-- Segmentations of turns' results are no turns, and go with them.
beside as materialized (
    select c.id
    from few f
    cross join lateral (select c.id from edits c where c.parent_id = f.id and c.spec ? 'segments' limit 1000) c
),
found as materialized (
    select e.id, e.tenant_id, e.finished_at
    from edits e
    where e.id = any (array(select f.id from few f union all select b.id from beside b))
    order by e.id
    for update
),
verdict as materialized (
    select
        count(*) as found,
        count(*) filter (where f.finished_at is null) as live,
        coalesce(bool_or(exists (
            select from edits c where c.parent_id = f.id and c.id <> all (array(select o.id from found o))
        )), false) as used
    from found f
),
doomed as materialized (
    select f.* from found f cross join verdict v where v.live = 0 and not v.used
),
untold as (
    delete from edit_events v where v.edit_id = any (array(select d.id from doomed d))
),
listed as (
    insert into blob_deletions (key, until)
    select 't/' || d.tenant_id || '/edits/' || d.id || '/', greatest(now(), d.finished_at + interval '15 min')
    from doomed d
    on conflict (key) do nothing
),
gone as (
    delete from edits e using doomed d where e.id = d.id
)
select v.found, v.live, v.used from verdict v
