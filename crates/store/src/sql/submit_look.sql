-- Everything a submission names, seen under the locks on its tenants.
select
    t.in_flight, t.in_flight_limit, t.rate_per_second,
    least(t.rate_burst::double precision,
        t.rate_tokens + t.rate_per_second * extract(epoch from greatest(clock_timestamp() - t.rate_at, interval '0')))
        ::double precision as tokens,
    i.id is not null as image_found,
    m.id is not null as mask_found,
    s.id is not null as session_found,
    p.state as parent_state,
    p.session_id as parent_session,
    before.id as before_id,
    before.request_digest as before_digest,
    before.born as before_born,
    before.created_at as before_created_at,
    own.id as own_id,
    own.born as own_born,
    own.created_at as own_created_at
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[])
    with ordinality as asked (tenant_id, image_id, mask_id, session_id, parent_id, idempotency_key, id, place)
left join tenants t on t.id = asked.tenant_id
left join images i on i.id = asked.image_id and i.tenant_id = asked.tenant_id
left join images m on m.id = asked.mask_id and m.tenant_id = asked.tenant_id
left join sessions s on s.id = asked.session_id and s.tenant_id = asked.tenant_id
left join edits p on p.id = asked.parent_id and p.tenant_id = asked.tenant_id
left join edits before
    on before.tenant_id = asked.tenant_id and before.idempotency_key = asked.idempotency_key
    and asked.idempotency_key is not null
left join edits own on own.id = asked.id and own.tenant_id = asked.tenant_id
order by asked.place
