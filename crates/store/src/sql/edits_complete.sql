with done as (
    update edits e
    set state = 'succeeded',
        seq = e.seq + 1,
        lease_expires_at = null,
        finished_at = clock_timestamp(),
        error = null,
        report = asked.report,
        gpu_ms = e.gpu_ms + asked.gpu_ms,
        output_bytes = asked.output_bytes
    from unnest($1::uuid[], $2::integer[], $3::jsonb[], $4::bigint[], $5::bigint[], $6::jsonb[])
        as asked (id, epoch, report, gpu_ms, output_bytes, artifacts)
    where e.id = asked.id
        and e.id = any ($1)
        and e.epoch = asked.epoch
        and e.state is not distinct from 'running'
    returning e.id, e.seq, asked.artifacts
),
referenced as (
    insert into artifacts (edit_id, kind, blob_key, digest, bytes, media_type, width, height)
    select d.id, a.kind, a.blob_key, decode(a.digest, 'hex'), a.bytes, a.media_type, a.width, a.height
    from done d
    cross join jsonb_to_recordset(d.artifacts)
        as a (kind text, blob_key text, digest text, bytes bigint, media_type text, width integer, height integer)
)
select id, seq from done
