with looked as materialized (
    select i.id, i.used_at
    from images i
    where i.used_at < now() - make_interval(secs => $1) and i.used_at > $2
    order by i.used_at
    limit $3
),
old as materialized (
    select q.id
    from looked l
    cross join lateral (
        select i.id from images i
        where i.id = l.id and i.used_at = l.used_at
            and not exists (select from edits e where e.image_id = i.id)
            and not exists (select from edits e where e.mask_id = i.id)
            and not exists (select from sessions s where s.image_id = i.id)
            and not exists (select from files f where f.image_id = i.id)
            -- A row that waits has no edit yet.
            and not exists (
                select from catalogs c
                where c.tenant_id = i.tenant_id and c.ended_at is null
                    and (
                        exists (select from catalog_rows r where r.catalog_id = c.id and r.state = 'waiting' and r.image_id = i.id)
                        or exists (select from catalog_rows r where r.catalog_id = c.id and r.state = 'waiting' and r.mask_id = i.id)
                    )
            )
        for update skip locked
    ) q
),
gone as (
    delete from images i using old o where i.id = o.id
    returning i.blob_key
),
listed as (
    insert into blob_deletions (key, until) select g.blob_key, now() + interval '15 min' from gone g
    on conflict (key) do nothing
)
select
    (select count(*) from old) as pruned,
    (select count(*) from looked) as looked,
    (select max(l.used_at) from looked l) as last
