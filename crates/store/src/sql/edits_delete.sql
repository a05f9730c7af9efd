-- Edits that ended, with their events, webhooks and artifacts; their blobs are listed for deletion. All of them or none.
-- What is named is one edit, or all edits that an image is the start or the mask of; on demand the turns that build on them too.
-- A `lateral` with a limit is a lookup for each row, whatever the planner thinks of the table.
with recursive named as materialized (
    select e.id from edits e where e.id = $2 and e.tenant_id is not distinct from $1
    union
    (select e.id from edits e where e.image_id = $3 and e.tenant_id is not distinct from $1 limit $5 + 1)
    union
    (select e.id from edits e where e.mask_id = $3 and e.tenant_id is not distinct from $1 limit $5 + 1)
),
tree (id) as (
    select n.id from named n
    union
    select c.id
    from tree t
    cross join lateral (select c.id from edits c where c.parent_id = t.id and ($4 or c.spec ? 'segments') limit $5 + 1) c
),
few as materialized (
    select t.id from tree t limit $5 + 1
),
found as materialized (
    select e.id, e.tenant_id, e.finished_at
    from edits e
    where e.id = any (array(select f.id from few f))
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
    select f.* from found f cross join verdict v where v.live = 0 and not v.used and v.found <= $5
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
select v.found, v.live, v.used or v.found > $5 as used from verdict v
