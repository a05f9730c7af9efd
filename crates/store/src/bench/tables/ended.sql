-- Ids in the order of their age.
with who as materialized (
    select row_number() over (order by t.created_at) as n, t.id as tenant_id, i.id as image_id
    from tenants t join images i on i.tenant_id = t.id
),
made as materialized (
    select
        (lpad(to_hex(floor(extract(epoch from f.at) * 1000)::bigint), 12, '0') || '7' || substr(f.hex, 1, 3)
            || '8' || substr(f.hex, 4, 15))::uuid as id,
        w.tenant_id, w.image_id, f.at, s.n, s.n % 20 = 0 as failed
    from generate_series(1, $3::bigint) as s (n)
    cross join lateral (
        select now() - interval '30 days' * (1 - s.n::float8 / ($3::float8 + 1)) as at, md5(s.n::text) as hex
    ) f
    join who w on w.n = 1 + s.n % $1::bigint
    where ($2::bigint, $4::bigint) is not null
),
edited as (
    insert into edits (
        id, tenant_id, image_id, model, class, spec, born, state, seq, epoch, max_attempts, worker_id, error, report,
        gpu_ms, created_at, started_at, finished_at
    )
    select
        id, tenant_id, image_id, 'null', 'interactive',
        '{"instruction": "make the sofa red", "preset": "fast", "seed": 7, "keep_outside": false}'::jsonb,
        'queued', case when failed then 'failed' else 'succeeded' end, 3, 1, 3, gen_random_uuid(),
        case when failed then jsonb_build_object(
            'class', case when n % 100000 = 0 then 'internal' else 'user' end, 'code', 'broken', 'message', 'it broke') end,
        '{"steps": 20}'::jsonb, 900, at, at, at + interval '1 s'
    from made
),
told as (
    insert into edit_events (edit_id, seq, at, kind, data)
    select id, seq, at, case when seq = 3 and failed then 'failed' else kind end, '{"attempts": 0}'::jsonb
    from made
    cross join (values (1, 'queued'), (2, 'started'), (3, 'succeeded')) as e (seq, kind)
)
insert into artifacts (edit_id, kind, blob_key, digest, bytes, media_type, width, height)
select id, 'result', 't/' || tenant_id || '/edits/' || id || '/1/result.png', sha256(id::text::bytea), 400000, 'image/png', 512, 512
from made
where not failed
