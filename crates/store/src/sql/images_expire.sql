with old as materialized (
    select i.id
    from images i
    where i.used_at < now() - make_interval(secs => $1)
        and not exists (select from edits e where e.image_id = i.id)
        and not exists (select from edits e where e.mask_id = i.id)
    order by i.used_at
    limit $2
    for update skip locked
),
gone as (
    delete from images i using old o where i.id = o.id
    returning i.blob_key
),
listed as (
    insert into blob_deletions (key, until) select g.blob_key, now() + interval '15 min' from gone g
    on conflict (key) do nothing
)
select count(*) as pruned from gone
