with who as materialized (
    select row_number() over (order by t.created_at) as n, t.id as tenant_id, i.id as image_id
    from tenants t join images i on i.tenant_id = t.id
),
made as materialized (
    select
        (lpad(to_hex(floor(extract(epoch from f.at) * 1000)::bigint), 12, '0') || '7' || substr(f.hex, 1, 3)
            || '8' || substr(f.hex, 4, 15))::uuid as id,
        w.tenant_id, w.image_id, f.at, s.n
    from generate_series(1, $2::bigint) as s (n)
    cross join lateral (
        select now() - interval '3 hours' * (1 - s.n::float8 / ($2::float8 + 1)) as at, md5('q' || s.n) as hex
    ) f
    join who w on w.n = case when s.n % 2 = 0 then 1 else 1 + (s.n / 2) % $1::bigint end
    where ($3::bigint, $4::bigint) is not null
),
told as (
    insert into edit_events (edit_id, seq, at, kind, data)
    select id, 1, at, 'queued', '{"attempts": 0}'::jsonb from made
)
insert into edits (id, tenant_id, image_id, model, class, spec, born, state, max_attempts, created_at)
select
    id, tenant_id, image_id, 'null', case when n % 5 = 0 then 'bulk' else 'interactive' end,
    '{"instruction": "make the sofa red", "preset": "fast", "seed": 7, "keep_outside": false}'::jsonb,
    'queued', 'queued', 3, at
from made
