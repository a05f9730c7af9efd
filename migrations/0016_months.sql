-- outside a transaction
--
-- Events by the month of their edit, which is in its id: what is old enough is dropped a month at once, and never deleted row by
-- row. The table of before becomes the first of them, with all that is in it and all edits of until the month after this one; it goes
-- like the others. Edits whose ids come from a clock that is years ahead or behind lie in edit_events_other.
-- The first id of a moment, in UTC.
create or replace function events_month_id(at timestamp) returns uuid
language sql immutable parallel safe
as $$ select (lpad(to_hex(greatest(0, extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;
-- step
do $$
declare
    until_id uuid;
begin
    if (select relkind from pg_class where oid = 'edit_events'::regclass) = 'p' then
        return;
    end if;
    -- No event of an edit may be beyond, before this is over and in ids that are there: at least two days ahead.
    until_id := events_month_id(date_trunc('month', now() at time zone 'utc' + interval '2 days') + interval '1 month');
    if exists (select from edit_events where edit_id >= until_id) then
        until_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    end if;
    alter table edit_events drop constraint if exists edit_events_months;
    execute format('alter table edit_events add constraint edit_events_months check (edit_id < %L) not valid', until_id);
end
$$;
-- step
do $$
begin
    if (select relkind from pg_class where oid = 'edit_events'::regclass) = 'r' then
        alter table edit_events validate constraint edit_events_months;
    end if;
end
$$;
-- step
do $$
declare
    until_id uuid;
begin
    if (select relkind from pg_class where oid = 'edit_events'::regclass) = 'p' then
        return;
    end if;
    select substring(pg_get_constraintdef(oid) from '''([0-9a-f-]{36})''')::uuid into strict until_id
    from pg_constraint
    where conrelid = 'edit_events'::regclass and conname = 'edit_events_months';
    alter table edit_events rename to edit_events_first;
    alter index edit_events_pkey rename to edit_events_first_pkey;
    create table edit_events (
        like edit_events_first including defaults including constraints including comments,
        constraint edit_events_pkey primary key (edit_id, seq)
    ) partition by range (edit_id);
    -- Its constraint says that nothing has to be read.
    execute format('alter table edit_events attach partition edit_events_first for values from (minvalue) to (%L)', until_id);
    alter table edit_events drop constraint edit_events_months;
    create table edit_events_other partition of edit_events default;
end
$$;
-- step
comment on table edit_events is
    'The history of the rows of edits, written by their triggers alone (so no foreign key looks after it), in a part for each month of their ids.';
-- step
-- The parts and the ids that lie in them; not edit_events_other.
create or replace function events_parts() returns table (part text, starts uuid, ends uuid)
language sql stable
as $$
    select
        c.relname::text,
        coalesce(substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([0-9a-f-]{36})''\)'),
            '00000000-0000-0000-0000-000000000000')::uuid,
        substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([0-9a-f-]{36})''\)')::uuid
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'edit_events'::regclass and pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
$$;
-- step
-- Makes the months ahead, and drops those that ended longer than so many seconds ago, all of whose edits have ended. Returns
-- what it dropped. Who is in the way is not waited for: others would wait behind. Defined by whoever migrates, so that
-- coordinators need no right to change tables.
create or replace function events_months(keep_s double precision) returns text[]
language plpgsql security definer as $$
declare
    first timestamp := date_trunc('month', now() at time zone 'utc');
    name text;
    begins uuid;
    over uuid;
    old record;
    dropped text[] := '{}';
begin
    perform set_config('lock_timeout', '200ms', true);
    for n in 0..3 loop
        name := 'edit_events_' || to_char(first + n * interval '1 month', 'YYYY_MM');
        begins := events_month_id(first + n * interval '1 month');
        over := events_month_id(first + (n + 1) * interval '1 month');
        continue when to_regclass(name) is not null
            or exists (select from events_parts() p where p.starts < over and p.ends > begins);
        begin
            execute format('create table %I partition of edit_events for values from (%L) to (%L)', name, begins, over);
        exception
            -- Events of clocks that were ahead lie in edit_events_other, and keep this month there.
            when lock_not_available or check_violation then
                raise warning 'no part of edit_events for %: %', name, sqlerrm;
        end;
    end loop;

    for old in
        select p.part, p.starts, p.ends
        from events_parts() p
        where p.ends <= events_month_id((now() - make_interval(secs => least(keep_s, 1e10))) at time zone 'utc')
    loop
        -- What has not ended keeps its month. By the small indexes of what is alive.
        continue when exists (
            select from edits e where e.state = 'queued' and e.announced_at is null and e.id >= old.starts and e.id < old.ends
        ) or exists (
            select from edits e where e.state = 'queued' and e.announced_at is not null and e.id >= old.starts and e.id < old.ends
        ) or exists (
            select from edits e where e.state = 'running' and e.id >= old.starts and e.id < old.ends
        ) or exists (
            select from edits e where e.state = 'waiting' and e.retry_at is not null and e.id >= old.starts and e.id < old.ends
        ) or exists (
            select from edits e where e.state = 'waiting' and e.retry_at is null and e.id >= old.starts and e.id < old.ends
        );
        begin
            execute format('drop table %I', old.part);
            dropped := dropped || old.part;
        exception
            when lock_not_available then
                raise warning 'the part % of edit_events is old and in use', old.part;
        end;
    end loop;
    return dropped;
end
$$;
-- step
do $$
begin
    execute format('alter function events_months(double precision) set search_path = %I, pg_temp', current_schema());
    revoke execute on function events_months(double precision) from public;
    perform events_months(1e9);
end
$$;
-- step
-- It was for deleting events row by row.
drop index concurrently if exists edits_chatty;
