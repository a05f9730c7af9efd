-- outside a transaction
--
-- How many edits stand in each line (of a tenant, in a class, for a model and what edits need of their worker), and which of
-- them is the oldest, so that nobody has to count them. Statements that change edits add what changed to a list, which locks
-- nothing; coordinators fold it into the lines, under the lock of the release.
create table if not exists lines (
    model text not null,
    needs text[] not null,
    class text not null,
    tenant_id uuid not null,
    queued integer not null default 0,
    waiting integer not null default 0,
    head uuid,
    primary key (model, needs, class, tenant_id)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- step
create index if not exists lines_heads on lines (model, needs, class, head) where head is not null;
-- step
comment on table lines is 'Edits that wait, counted by line. Written by coordinators alone, one after the other.';
-- step
comment on column lines.queued is 'Queued and not announced, but for what line_changes has. Statistics: nothing is released or held back by it.';
-- step
comment on column lines.head is 'No queued edit of the line is older, but for what line_changes has. Null: there is none.';
-- step
create table if not exists line_changes (
    xact xid8 not null default pg_current_xact_id(),
    model text not null,
    needs text[] not null,
    class text not null,
    tenant_id uuid not null,
    queued integer not null,
    waiting integer not null,
    head uuid
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- step
create index if not exists line_changes_xact on line_changes (xact);
-- step
comment on table line_changes is 'What statements changed and is not in lines yet. Written by the triggers on edits alone.';
-- step
create table if not exists line_folds (
    only_row boolean primary key default true check (only_row),
    before xid8 not null default '0'
);
-- step
insert into line_folds default values on conflict do nothing;
-- step
comment on column line_folds.before is
    'Changes of transactions before this one are folded: what is left of their rows is not read again. Means nothing in a restored database, where it is in the future.';
-- step
create or replace function edits_lines_inserted() returns trigger
language plpgsql as $$
begin
    insert into line_changes (model, needs, class, tenant_id, queued, waiting, head)
    select
        n.model, n.needs, n.class, n.tenant_id,
        count(*) filter (where n.state = 'queued'), count(*) filter (where n.state = 'waiting'),
        min(n.id::text) filter (where n.state = 'queued')::uuid
    from new_rows n
    where n.state in ('queued', 'waiting')
    group by n.model, n.needs, n.class, n.tenant_id;
    return null;
end
$$;
-- step
create or replace function edits_lines_updated() returns trigger
language plpgsql as $$
begin
    insert into line_changes (model, needs, class, tenant_id, queued, waiting, head)
    select c.model, c.needs, c.class, c.tenant_id, sum(c.queued), sum(c.waiting), min(c.id::text)::uuid
    from (
        select
            n.model, n.needs, n.class, n.tenant_id,
            (n.state = 'queued')::int as queued, (n.state = 'waiting')::int as waiting,
            case when n.state = 'queued' then n.id end as id
        from new_rows n
        where n.state = 'queued' and n.announced_at is null or n.state = 'waiting'
        union all
        select
            o.model, o.needs, o.class, o.tenant_id,
            -(o.state = 'queued')::int, -(o.state = 'waiting')::int, null
        from old_rows o
        where o.state = 'queued' and o.announced_at is null or o.state = 'waiting'
    ) c
    group by c.model, c.needs, c.class, c.tenant_id
    having sum(c.queued) <> 0 or sum(c.waiting) <> 0 or min(c.id::text) is not null;
    return null;
end
$$;
-- step
-- Under the lock of the release. Reads no change twice, whatever a long transaction elsewhere keeps vacuum from.
create or replace function lines_fold() returns bigint
language plpgsql as $$
declare
    folded bigint;
begin
    with since as materialized (
        select f.before, pg_snapshot_xmin(pg_current_snapshot()) as now from line_folds f
    ),
    next as materialized (
        select c.ctid
        from line_changes c
        where c.xact >= (select case when s.before <= s.now then s.before else '0'::xid8 end from since s)
        order by c.xact
        limit 100000
    ),
    taken as (
        delete from line_changes c where c.ctid = any (array(select n.ctid from next n))
        returning c.*
    ),
    written as (
        insert into lines as l (model, needs, class, tenant_id, queued, waiting, head)
        select t.model, t.needs, t.class, t.tenant_id, sum(t.queued), sum(t.waiting), min(t.head::text)::uuid
        from taken t
        group by t.model, t.needs, t.class, t.tenant_id
        on conflict (model, needs, class, tenant_id) do update
        set queued = l.queued + excluded.queued,
            waiting = l.waiting + excluded.waiting,
            head = least(l.head, excluded.head)
    ),
    counted as (
        select count(*) as n from taken
    ),
    noted as (
        update line_folds f set before = s.now from since s, counted c where c.n between 1 and 99999
    )
    select c.n into folded from counted c;
    return folded;
end
$$;
-- step
-- The lines as they are, whatever was in them. Under the lock of the release, and by one snapshot: what line_changes has in it
-- is still to be folded.
create or replace function lines_recount() returns bigint
language plpgsql set enable_hashjoin = on set enable_hashagg = on as $$
declare
    counted bigint;
begin
    with there as materialized (
        select w.model, w.needs, w.class, w.tenant_id, sum(w.queued) as queued, sum(w.waiting) as waiting, min(w.head)::uuid as head
        from (
            select e.model, e.needs, e.class, e.tenant_id, count(*) as queued, 0 as waiting, min(e.id::text) as head
            from edits e
            where e.state = 'queued' and e.announced_at is null
            group by e.model, e.needs, e.class, e.tenant_id
            union all
            select e.model, e.needs, e.class, e.tenant_id, 0, count(*), null
            from (
                select e.model, e.needs, e.class, e.tenant_id from edits e where e.state = 'waiting' and e.retry_at is null
                union all
                select e.model, e.needs, e.class, e.tenant_id from edits e where e.state = 'waiting' and e.retry_at is not null
            ) e
            group by e.model, e.needs, e.class, e.tenant_id
            union all
            select c.model, c.needs, c.class, c.tenant_id, -sum(c.queued), -sum(c.waiting), null
            from line_changes c
            group by c.model, c.needs, c.class, c.tenant_id
        ) w
        group by w.model, w.needs, w.class, w.tenant_id
    ),
    gone as (
        delete from lines l
        where not exists (
            select from there t
            where t.model = l.model and t.needs = l.needs and t.class = l.class and t.tenant_id = l.tenant_id
        )
    ),
    written as (
        insert into lines as l (model, needs, class, tenant_id, queued, waiting, head)
        select t.model, t.needs, t.class, t.tenant_id, t.queued, t.waiting, t.head from there t
        on conflict (model, needs, class, tenant_id) do update
        set queued = excluded.queued, waiting = excluded.waiting, head = excluded.head
        where (l.queued, l.waiting) <> (excluded.queued, excluded.waiting) or l.head is distinct from excluded.head
    )
    select count(*) into counted from there;
    return counted;
end
$$;
-- step
create or replace trigger edits_lines_inserted after insert on edits
referencing new table as new_rows
for each statement execute function edits_lines_inserted();
-- step
create or replace trigger edits_lines_updated after update on edits
referencing old table as old_rows new table as new_rows
for each statement execute function edits_lines_updated();
-- step
-- After the triggers: what happens from here on is on the list.
do $$
begin
    perform pg_advisory_xact_lock(7308332001);
    perform lines_recount();
end
$$;
-- step
-- Dead letters, of all that failed. What reads the two others is gone.
create index concurrently if not exists edits_dead_letters on edits (id)
    where state = 'failed' and error ->> 'class' in ('internal', 'hang', 'poison');
-- step
drop index concurrently if exists edits_dead;
-- step
drop index concurrently if exists edits_line;
