-- Rows become edits, those of one picture one after the other; the catalog's row is held. A row whose picture is gone fails.
with picked as materialized (
    select r.number, r.base_id, r.image_id, r.mask_id, r.fields, a.id
    from (
        select p.*, row_number() over (order by p.image_id, p.number) as place
        from (
            select r.number, r.base_id, r.image_id, r.mask_id, r.fields
            from catalog_rows r
            where r.catalog_id = $1 and r.state = 'waiting'
            order by r.catalog_id, r.image_id, r.number
            limit cardinality($3::uuid[])
        ) p
    ) r
    join unnest($3::uuid[]) with ordinality as a (id, place) on a.place = r.place
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
    reasons = '', measures = null,
    error = case when not f.there then 'its picture or its mask was deleted before its turn' end,
    ended_at = case when not f.there then now() end
from found f
where r.catalog_id = $1 and r.number = f.number
returning r.state
