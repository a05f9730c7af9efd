with spent as (
    update tenants t
    -- As of the look: what the bucket gains since then is not lost.
    set rate_tokens = a.tokens, rate_at = greatest(t.rate_at, a.at)
    from unnest($1::uuid[], $2::double precision[], $20::timestamptz[]) as a (id, tokens, at)
    where t.id = a.id
),
-- Once a day is enough for what is kept by days. Whoever holds an image is not waited for.
shown as (
    update images i
    set used_at = now()
    from (
        select q.id
        from (
            select distinct a.id from unnest($7::uuid[] || $9::uuid[]) as a (id) where a.id is not null order by a.id
        ) a
        cross join lateral (
            select q.id from images q
            where q.id = a.id and q.used_at < now() - interval '1 day'
            for no key update skip locked
        ) q
    ) q
    where i.id = q.id
),
-- What follows for their sessions, triggers do (`migrations/0022_sessions.sql`).
turned as (
    insert into turns (edit_id, session_id, parent_id, depth, number, visited)
    select id, session_id, turn_parent, depth, number, visited
    from unnest($3::uuid[], $5::uuid[], $21::uuid[], $22::integer[], $23::integer[], $24::bigint[])
        as a (id, session_id, turn_parent, depth, number, visited)
    where session_id is not null
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
