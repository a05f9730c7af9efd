with spent as (
    update tenants t
    set rate_tokens = a.tokens, rate_at = clock_timestamp()
    from unnest($1::uuid[], $2::double precision[]) as a (id, tokens)
    where t.id = a.id
),
used as (
    update sessions s
    set used_at = now()
    from (select distinct session_id as id from unnest($5::uuid[]) as a (session_id) where session_id is not null) a
    where s.id = a.id and s.used_at < now() - interval '1 min'
)
insert into edits (
    id, tenant_id, session_id, batch_id, image_id, parent_id, mask_id, model, class, spec, born, state, max_attempts,
    idempotency_key, request_digest, webhook_url, trace, needs
)
select
    id, tenant_id, session_id, batch_id, image_id, parent_id, mask_id, model, class, spec, state, state,
    least(max_attempts, (select t.attempts_max from tenants t where t.id = a.tenant_id)),
    idempotency_key, request_digest, webhook_url, trace,
    case when needs is null then '{}' else string_to_array(needs, E'\n') end
from unnest(
    $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[], $10::text[], $11::text[],
    $12::jsonb[], $13::text[], $14::smallint[], $15::text[], $16::bytea[], $17::text[], $18::text[],
    $19::text[]
) as a (
    id, tenant_id, session_id, batch_id, image_id, parent_id, mask_id, model, class, spec, state, max_attempts,
    idempotency_key, request_digest, webhook_url, trace, needs
)
returning id, created_at
