with old as materialized (
    select e.id, e.seq
    from edits e
    where e.finished_at is not null and not e.events_pruned and e.finished_at < now() - make_interval(secs => $1)
    order by e.finished_at
    limit $2
    for no key update skip locked
),
marked as (
    update edits e set events_pruned = true from old o where e.id = o.id
),
gone as (
    delete from edit_events v using old o where v.edit_id = o.id and v.seq < o.seq
)
select count(*) as pruned from old
