-- Pictures that are due, a few of each host, so that no host holds up the others. Whoever claims one has it until it is due again. Those
-- of catalogs that were cancelled are asked for no more.
with recursive hosts as (
    (
        select 1 as place, p.host from catalog_pictures p where p.state = 'waiting' order by p.host limit 1
    )
    union all
    select h.place + 1, n.host
    from hosts h
    cross join lateral (
        select p.host from catalog_pictures p where p.state = 'waiting' and p.host > h.host order by p.host limit 1
    ) n
    where h.place < 1000
),
picked as materialized (
    select p.catalog_id, p.id
    from hosts h
    cross join lateral (
        select p.catalog_id, p.id
        from catalog_pictures p
        where p.state = 'waiting' and p.host = h.host and p.due_at <= now()
        order by p.host, p.due_at
        limit $2
        for update skip locked
    ) p
    limit $1
),
looked as materialized (
    select p.*, c.tenant_id, c.cancelled_at is not null as cancelled
    from picked p
    cross join lateral (select c.tenant_id, c.cancelled_at from catalogs c where c.id = p.catalog_id limit 1) c
)
update catalog_pictures p
set due_at = now() + make_interval(secs => $4), lease = $3, tries = p.tries + 1,
    state = case when l.cancelled then 'failed' else 'waiting' end
from looked l
where p.catalog_id = l.catalog_id and p.id = l.id
returning p.catalog_id, p.id, p.address, p.tries, p.lease, p.state, l.tenant_id
