-- The event log is the history of the rows of edits. Statement-level triggers write it and settle accounts, so that no
-- statement can forget an event or leak a slot: a statement changes the row and adds one to seq, and that is all.
--
-- The store's connections have hash joins off, to keep their own statements on the indexes; here they are what joins two
-- transition tables in linear time.

create function edits_inserted() returns trigger
language plpgsql set enable_hashjoin = on as $$
declare
    moved record;
begin
    insert into edit_events (edit_id, seq, at, kind, data)
    select
        n.id, n.seq, clock_timestamp(), n.state,
        case n.state
            when 'queued' then jsonb_build_object('attempts', n.attempts)
            when 'waiting' then jsonb_build_object('parent', n.parent_id)
            else '{}'::jsonb
        end
    from new_rows n;

    for moved in
        select n.tenant_id, count(*) as begun
        from new_rows n
        where n.finished_at is null
        group by n.tenant_id
        order by n.tenant_id
    loop
        update tenants t set in_flight = t.in_flight + moved.begun where t.id = moved.tenant_id;
    end loop;
    return null;
end
$$;

create function edits_updated() returns trigger
language plpgsql set enable_hashjoin = on as $$
declare
    moved record;
begin
    -- An event's kind and data are a function of the row, and of whether it was running before.
    insert into edit_events (edit_id, seq, at, kind, data)
    select
        n.id, n.seq, clock_timestamp(),
        case
            when n.state = 'running' and o.state = 'running' then 'progress'
            when n.state = 'running' then 'started'
            when n.state = 'waiting' and n.retry_at is not null then 'retrying'
            else n.state
        end,
        case
            when n.state = 'running' and o.state = 'running' then
                jsonb_build_object('stage', n.stage, 'step', n.step, 'steps', n.steps)
            when n.state = 'running' then
                jsonb_build_object('epoch', n.epoch, 'attempts', n.attempts, 'worker', n.worker_id,
                    'checkpoint_step', n.checkpoint_step)
            when n.state = 'queued' then jsonb_build_object('attempts', n.attempts)
            when n.state = 'waiting' and n.retry_at is not null then
                jsonb_build_object('attempts', n.attempts, 'retry_at', n.retry_at, 'error', n.error)
            when n.state = 'waiting' then jsonb_build_object('parent', n.parent_id)
            when n.state = 'failed' then jsonb_build_object('attempts', n.attempts, 'error', n.error)
            else '{}'::jsonb
        end
    from new_rows n
    join old_rows o on o.id = n.id
    where n.seq > o.seq;
    -- Announcements, renewals and checkpoints: no event, so nothing ended either.
    if not found then
        return null;
    end if;

    for moved in
        select
            n.tenant_id,
            count(*) filter (where n.finished_at is null) as begun,
            count(*) filter (where n.finished_at is not null) as ended,
            coalesce(sum(n.gpu_ms) filter (where n.finished_at is not null), 0) as gpu_ms,
            coalesce(sum(n.output_bytes) filter (where n.finished_at is not null), 0) as bytes
        from new_rows n
        join old_rows o on o.id = n.id
        where (n.finished_at is null) <> (o.finished_at is null)
        group by n.tenant_id
        order by n.tenant_id
    loop
        update tenants t set in_flight = t.in_flight + moved.begun - moved.ended where t.id = moved.tenant_id;
        if moved.ended > 0 then
            insert into usage as u (tenant_id, day, edits, gpu_ms, bytes)
            values (moved.tenant_id, (now() at time zone 'utc')::date, moved.ended, moved.gpu_ms, moved.bytes)
            on conflict (tenant_id, day) do update
            set edits = u.edits + excluded.edits, gpu_ms = u.gpu_ms + excluded.gpu_ms, bytes = u.bytes + excluded.bytes;
        end if;
    end loop;

    insert into webhooks (tenant_id, edit_id, event, url)
    select n.tenant_id, n.id, 'edit.' || n.state, n.webhook_url
    from new_rows n
    join old_rows o on o.id = n.id
    where n.finished_at is not null and o.finished_at is null and n.webhook_url is not null;
    return null;
end
$$;

create trigger edits_inserted after insert on edits
referencing new table as new_rows
for each statement execute function edits_inserted();

create trigger edits_updated after update on edits
referencing old table as old_rows new table as new_rows
for each statement execute function edits_updated();
