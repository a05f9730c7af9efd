with old as materialized (
    select e.id, e.checkpoint_key
    from edits e
    where e.finished_at is not null and e.checkpoint_key is not null
        and e.finished_at < now() - make_interval(secs => $1)
    order by e.finished_at
    limit $2
    for no key update skip locked
),
dropped as (
    update edits e
    set checkpoint_key = null, checkpoint_digest = null, checkpoint_bytes = null, checkpoint_step = 0, claim_step = 0
    from old o
    where e.id = o.id and e.finished_at is not null
    returning o.checkpoint_key
),
listed as (
    insert into blob_deletions (key, until) select d.checkpoint_key, now() from dropped d
    on conflict (key) do nothing
)
select count(*) as pruned from dropped
