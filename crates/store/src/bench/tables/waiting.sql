with made as materialized (
    select
        (lpad(to_hex(floor(extract(epoch from now()) * 1000)::bigint), 12, '0') || '7' || substr(f.hex, 1, 3)
            || '8' || substr(f.hex, 4, 15))::uuid as id,
        p.id as parent_id, p.tenant_id
    from (
        -- The newest, which no round of a benchmark gets to.
        select e.id, e.tenant_id, row_number() over (order by e.id desc) as n
        from edits e
        where e.state = 'queued'
        order by e.id desc
        limit $4::bigint
    ) p
    cross join lateral (select md5('w' || p.n) as hex) f
    where ($1::bigint, $2::bigint, $3::bigint) is not null
),
told as (
    insert into edit_events (edit_id, seq, at, kind, data)
    select id, 1, now(), 'waiting', '{}'::jsonb from made
)
insert into edits (id, tenant_id, parent_id, model, class, spec, born, state, max_attempts)
select
    id, tenant_id, parent_id, 'null', 'interactive',
    '{"instruction": "make the sofa red", "preset": "fast", "seed": 7, "keep_outside": false}'::jsonb,
    'waiting', 'waiting', 3
from made
