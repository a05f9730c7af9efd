-- Rows become edits, those of one picture one after the other; the catalog's row is held. Of rows about the same object the first goes
-- alone, and the others once it ended, whatever its end, or after ten minutes. A row whose picture is gone fails.
with recursive firsts as materialized (
    select r.image_id, r.object_id, min(e.created_at) > now() - interval '10 minutes' and not bool_or(r.step > 0) as alone
    from catalog_rows r
    cross join lateral (select e.created_at from edits e where e.id = r.edit_id limit 1) e
    where r.catalog_id = $1 and r.state = 'live' and r.object_id <> '00000000-0000-0000-0000-000000000000'
    group by r.image_id, r.object_id
),
-- One step of the index for each object that waits, and no more of them than can be started or are held back.
objects as (
    (
        select 1 as place, r.image_id, r.object_id
        from catalog_rows r
        where r.catalog_id = $1 and r.state = 'waiting'
        order by r.catalog_id, r.image_id, r.object_id
        limit 1
    )
    union all
    select o.place + 1, n.image_id, n.object_id
    from objects o
    cross join lateral (
        select r.image_id, r.object_id
        from catalog_rows r
        where r.catalog_id = $1 and r.state = 'waiting' and (r.image_id, r.object_id) > (o.image_id, o.object_id)
        order by r.catalog_id, r.image_id, r.object_id
        limit 1
    ) n
    where o.place < cardinality($3::uuid[]) + (select count(*) from firsts)
),
picked as materialized (
    select r.number, r.base_id, r.image_id, r.mask_id, r.fields, ($3::uuid[])[r.place] as id
    from (
        select p.*, row_number() over (order by p.turn, p.number) as place
        from (
            select o.place as turn, r.number, r.base_id, r.image_id, r.mask_id, r.fields
            from objects o
            cross join lateral (
                select
                    o.object_id = '00000000-0000-0000-0000-000000000000' or exists (
                        select from catalog_rows d
                        where d.catalog_id = $1 and d.image_id = o.image_id and d.object_id = o.object_id
                            and d.state in ('passed', 'review', 'rejected', 'failed')
                    ) as found,
                    (select l.alone from firsts l where l.image_id = o.image_id and l.object_id = o.object_id) as alone
            ) f
            cross join lateral (
                select r.number, r.base_id, r.image_id, r.mask_id, r.fields
                from catalog_rows r
                where r.catalog_id = $1 and r.state = 'waiting' and r.image_id = o.image_id and r.object_id = o.object_id
                order by r.catalog_id, r.image_id, r.object_id, r.number
                limit case when f.found or not f.alone then cardinality($3::uuid[]) when f.alone then 0 else 1 end
            ) r
            order by o.place, r.number
            limit cardinality($3::uuid[])
        ) p
    ) r
),
found as materialized (
    select p.*, i.id is not null and (p.mask_id is null or m.id is not null) as there
    from picked p
    left join lateral (
        select i.id from images i where i.id = p.image_id and i.tenant_id is not distinct from $2 for key share limit 1
    ) i on true
    left join lateral (
        select m.id from images m where m.id = p.mask_id and m.tenant_id is not distinct from $2 for key share limit 1
    ) m on true
),
made as (
    insert into edits (id, tenant_id, batch_id, image_id, mask_id, model, class, spec, born, state, max_attempts, webhook_url, needs)
    select
        f.id, $2, $1, f.image_id, f.mask_id, b.model, 'bulk', b.spec || f.fields, 'queued', 'queued',
        least(b.max_attempts, (select t.attempts_max from tenants t where t.id = $2)), b.webhook_url, b.needs
    from found f
    cross join lateral (select b.* from catalog_bases b where b.catalog_id = $1 and b.id = f.base_id limit 1) b
    where f.there
    order by f.id
    returning id
)
update catalog_rows r
set state = case when f.there then 'live' else 'failed' end,
    edit_id = case when f.there then f.id end,
    step = 0, reasons = '', measures = null,
    error = case when not f.there then 'its picture or its mask was deleted before its turn' end,
    ended_at = case when not f.there then now() end
from found f
where r.catalog_id = $1 and r.number = f.number
returning r.state
