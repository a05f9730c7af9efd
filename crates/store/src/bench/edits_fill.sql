-- Finished edits as of the last month, ids in the order of their age.
with made as materialized (
    select
        (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(hex, 1, 3)
            || '8' || substr(hex, 4, 15))::uuid as id,
        t.tenant_id, t.image_id, at
    from generate_series($2::bigint, $3::bigint) as n
    cross join lateral (
        select now() - interval '30 days' * (1 - n::double precision / $4::double precision) as at, md5(n || random()::text) as hex
    ) f
    cross join lateral (
        select ($1::uuid[])[1 + n % array_length($1::uuid[], 1)] as image_id
    ) c
    join lateral (select i.tenant_id, i.id as image_id from images i where i.id = c.image_id) t on true
),
edited as (
    insert into edits (
        id, tenant_id, image_id, model, class, spec, born, state, seq, epoch, max_attempts, worker_id, report, gpu_ms,
        created_at, started_at, finished_at
    )
    select
        id, tenant_id, image_id, 'null', 'interactive',
        '{"instruction": "make the sofa red", "preset": "fast", "seed": 7, "keep_outside": false}'::jsonb,
        'queued', 'succeeded', 3, 1, 3, gen_random_uuid(), '{"steps": 20}'::jsonb, 900, at, at, at + interval '1 s'
    from made
),
told as (
    insert into edit_events (edit_id, seq, at, kind, data)
    select id, seq, at, kind, '{"attempts": 0}'::jsonb
    from made
    cross join (values (1, 'queued'), (2, 'started')) as e (seq, kind)
)
insert into artifacts (edit_id, kind, blob_key, digest, bytes, media_type, width, height)
select id, 'result', 't/' || tenant_id || '/edits/' || id || '/1/result.png', sha256(id::text::bytea), 400000, 'image/png', 512, 512
from made
