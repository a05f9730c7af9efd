-- outside a transaction
--
-- What is counted of the lines can be counted anew, so nothing of it is written to the log: after a crash of Postgres, and on a
-- replica that took over, the three tables are empty. That the row of line_folds is missing tells the next release.
--
-- Counting anew locks nothing that a release waits for: it adds what is missing to the list of changes.
create or replace function lines_recount() returns bigint
language plpgsql set enable_hashjoin = on set enable_hashagg = on as $$
declare
    corrected bigint;
begin
    -- Of two that count at once the second sees what the first has added.
    perform pg_advisory_xact_lock(7308332002);
    -- By one snapshot. Folding moves changes into the lines, so it does not change the sum of both, and whoever changes edits
    -- changes that sum with them: what is missing now is missing whatever happens meanwhile.
    with compared as materialized (
        select
            w.model, w.needs, w.class, w.tenant_id, sum(w.queued) as queued, sum(w.waiting) as waiting,
            min(w.oldest) as oldest, min(w.head) as head
        from (
            select e.model, e.needs, e.class, e.tenant_id, count(*) as queued, 0 as waiting, min(e.id::text) as oldest, null as head
            from edits e
            where e.state = 'queued' and e.announced_at is null
            group by e.model, e.needs, e.class, e.tenant_id
            union all
            select e.model, e.needs, e.class, e.tenant_id, 0, count(*), null, null
            from (
                select e.model, e.needs, e.class, e.tenant_id from edits e where e.state = 'waiting' and e.retry_at is null
                union all
                select e.model, e.needs, e.class, e.tenant_id from edits e where e.state = 'waiting' and e.retry_at is not null
            ) e
            group by e.model, e.needs, e.class, e.tenant_id
            union all
            select l.model, l.needs, l.class, l.tenant_id, -l.queued, -l.waiting, null, l.head::text
            from lines l
            union all
            select c.model, c.needs, c.class, c.tenant_id, -sum(c.queued), -sum(c.waiting), null, min(c.head::text)
            from line_changes c
            group by c.model, c.needs, c.class, c.tenant_id
        ) w
        group by w.model, w.needs, w.class, w.tenant_id
    ),
    added as (
        insert into line_changes (model, needs, class, tenant_id, queued, waiting, head)
        select c.model, c.needs, c.class, c.tenant_id, c.queued, c.waiting, c.oldest::uuid
        from compared c
        where c.queued <> 0 or c.waiting <> 0 or c.oldest is not null and (c.head is null or c.oldest < c.head)
        returning 1
    )
    select count(*) into corrected from added;
    return corrected;
end
$$;
-- step
-- Under the lock of the release. Reads no change twice, whatever a long transaction elsewhere keeps vacuum from.
create or replace function lines_fold() returns bigint
language plpgsql as $$
declare
    folded bigint;
begin
    if not exists (select from line_folds) then
        perform lines_recount();
        insert into line_folds default values;
    end if;
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
comment on table lines is 'Edits that wait, counted by line. Written by coordinators alone, one after the other. Empty after a crash.';
-- step
comment on table line_changes is 'What statements changed and is not in lines yet. Written by the triggers on edits, and by lines_recount().';
-- step
comment on table line_folds is 'One row; none after a crash, and then the lines are counted anew.';
-- step
-- Small tables: a row for each line, and what changed since the last release.
alter table line_folds set unlogged;
-- step
alter table line_changes set unlogged;
-- step
alter table lines set unlogged;
