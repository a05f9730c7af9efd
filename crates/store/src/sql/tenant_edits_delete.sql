-- Newest first, so that turns go before what they build on. Their blobs go with the tenant's. One tenant is written as a range
-- of them, so that no index but the tenants' own has the order.
with doomed as materialized (
    select e.id
    from edits e
    where e.tenant_id between $1 and $1 and e.finished_at is not null
        and not exists (select from edits c where c.parent_id = e.id)
    order by e.tenant_id desc, e.id desc
    limit $2
    for update skip locked
),
untold as (
    delete from edit_events v where v.edit_id = any (array(select d.id from doomed d))
),
gone as (
    delete from edits e using doomed d where e.id = d.id
)
select count(*) as gone from doomed
