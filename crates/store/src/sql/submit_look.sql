-- Everything a submission names, seen under the locks on its tenants. A `lateral` with a limit is a lookup for each row,
-- whatever the planner thinks of the tables.
select
    t.in_flight, t.in_flight_limit, t.rate_per_second, t.rate_burst,
    least(t.rate_burst::double precision,
        t.rate_tokens + t.rate_per_second * extract(epoch from greatest(clock.at - t.rate_at, interval '0')))
        ::double precision as tokens,
    clock.at,
    i.id is not null as image_found,
    m.id is not null as mask_found,
    p.state as parent_state,
    p.session_id as parent_session,
    pt.depth as parent_depth,
    before.id as before_id,
    before.request_digest as before_digest,
    before.born as before_born,
    before.created_at as before_created_at,
    own.id as own_id,
    own.born as own_born,
    own.created_at as own_created_at
from (select clock_timestamp() as at offset 0) clock
cross join unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[])
    with ordinality as asked (tenant_id, image_id, mask_id, parent_id, idempotency_key, id, place)
left join lateral (select * from tenants t where t.id = asked.tenant_id limit 1) t on true
left join lateral (
    select i.id from images i where i.id = asked.image_id and i.tenant_id is not distinct from asked.tenant_id limit 1
) i on true
left join lateral (
    select m.id from images m where m.id = asked.mask_id and m.tenant_id is not distinct from asked.tenant_id limit 1
) m on true
left join lateral (
    select p.state, p.session_id
    from edits p
    where p.id = asked.parent_id and p.tenant_id is not distinct from asked.tenant_id
        -- A segmentation has no result to build on.
        and not p.spec ? 'segments'
    limit 1
) p on true
left join lateral (
    select t.depth from turns t where t.edit_id = asked.parent_id and t.session_id = p.session_id limit 1
) pt on true
left join lateral (
    select b.id, b.request_digest, b.born, b.created_at
    from edits b
    where b.tenant_id = asked.tenant_id and b.idempotency_key = asked.idempotency_key
    limit 1
) before on true
left join lateral (
    select o.id, o.born, o.created_at
    from edits o
    where o.id = asked.id and o.tenant_id is not distinct from asked.tenant_id
    limit 1
) own on true
order by asked.place
