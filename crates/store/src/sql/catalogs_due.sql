-- Catalogs that have something to do, in the order in which a tenant's are served, with the room that their tenants have.
select
    c.id, c.tenant_id, c.live, c.waiting, c.paused_at is not null as paused, c.cancelled_at is not null as cancelled,
    t.in_flight, t.in_flight_limit, s.slots
from catalogs c
cross join (
    select least(coalesce(sum(w.slots), 0), 1000000)::integer as slots
    from workers w
    where not w.draining and w.seen_at > now() - 3 * w.ttl
) s
cross join lateral (
    select t.in_flight, t.in_flight_limit from tenants t where t.id = c.tenant_id and t.erasing_at is null limit 1
) t
where c.ended_at is null and (c.live > 0 or c.waiting > 0 and c.paused_at is null or c.sealed_at is not null)
order by c.tenant_id, c.priority desc, c.id
limit $1
