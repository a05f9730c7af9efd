-- A session is a tree of turns. Its rows follow those of edits by triggers, so that no statement, and no program of a version
-- before, can leave them behind: posting moves the head, a turn that ends without a result gives it back, and every event of a turn
-- gets a number of the session's own.
--
-- Lock order: edits, tenants, usage, and sessions last, by id.

alter table sessions
    add column title text not null default '',
    add column image_id uuid,
    add column head uuid,
    add column version bigint not null default 1,
    add column turns integer not null default 0,
    add column events bigint not null default 0;
comment on column sessions.image_id is 'The picture that the tree grows from.';
comment on column sessions.head is 'The turn that the next one builds on by default; null: the picture itself.';
comment on column sessions.version is 'Counts moves of the head.';
comment on column sessions.turns is 'Number of the newest turn; turns that were deleted keep theirs.';
comment on column sessions.events is 'Number of the newest event of the session.';

create table turns (
    edit_id uuid primary key references edits on delete cascade,
    session_id uuid not null references sessions,
    parent_id uuid,
    depth integer not null check (depth >= 1),
    depth_before integer not null generated always as (depth - 1) stored,
    number integer not null check (number >= 1),
    visited bigint not null,
    unique (session_id, number),
    unique (session_id, edit_id),
    unique (edit_id, session_id, depth),
    constraint turns_roots check ((parent_id is null) = (depth = 1)),
    -- A parent of the same session, one step nearer to the picture: no tree is mixed with another, and none has a ring.
    constraint turns_parent foreign key (parent_id, session_id, depth_before)
        references turns (edit_id, session_id, depth) on delete cascade
);
create index turns_children on turns (parent_id) where parent_id is not null;
comment on table turns is 'The edits of sessions, as nodes of their trees.';
comment on column turns.number is 'From 1 in each session, in the order in which they were posted.';
comment on column turns.visited is 'Version of the session when the turn last became its head.';

create table session_branches (
    session_id uuid not null references sessions on delete cascade,
    name text not null check (length(name) between 1 and 63),
    edit_id uuid,
    primary key (session_id, name),
    constraint session_branches_turn foreign key (session_id, edit_id) references turns (session_id, edit_id)
        deferrable initially deferred
);
create index session_branches_edit on session_branches (edit_id) where edit_id is not null;
comment on table session_branches is 'Names for turns; null: for the picture itself.';

create table session_events (
    session_id uuid not null references sessions on delete cascade,
    seq bigint not null check (seq >= 1),
    at timestamptz not null,
    edit_id uuid,
    edit_seq bigint,
    head jsonb,
    primary key (session_id, seq),
    constraint session_events_one check (num_nonnulls(edit_id, head) = 1 and (edit_id is null) = (edit_seq is null))
);
create index session_events_at on session_events (at);
comment on table session_events is 'The order of a session''s events: those of its edits, which edit_events has, and moves of its head.';

create function session_head_moved() returns trigger
language plpgsql as $$
begin
    new.events := new.events + 1;
    insert into session_events (session_id, seq, at, head)
    values (new.id, new.events, clock_timestamp(), jsonb_build_object('turn', new.head, 'version', new.version));
    return new;
end
$$;

create trigger session_head_moved before update on sessions
for each row when (new.version > old.version) execute function session_head_moved();

-- In these functions a `lateral` with a limit is a lookup for each row: their plans are kept from when the tables were empty.

-- The turn itself, or the nearest one before it that has not ended without a result.
create function turn_standing(turn uuid) returns uuid
language sql stable as $$
    with recursive up (id, parent_id, lost) as (
        select t.edit_id, t.parent_id, e.lost
        from (select t.edit_id, t.parent_id from turns t where t.edit_id = turn limit 1) t
        cross join lateral (
            select e.state in ('failed', 'cancelled') as lost from edits e where e.id = t.edit_id limit 1
        ) e
        union all
        select t.edit_id, t.parent_id, e.lost
        from up u
        cross join lateral (select t.edit_id, t.parent_id from turns t where t.edit_id = u.parent_id limit 1) t
        cross join lateral (
            select e.state in ('failed', 'cancelled') as lost from edits e where e.id = t.edit_id limit 1
        ) e
        where u.lost
    )
    select u.id from up u where not u.lost
$$;

-- Makes turns of a session's edits that are none yet: what was there before this table, and what programs of a version before
-- write. One whose parent is of another session, as they allowed, is a root.
create function turns_add(session uuid) returns void
language sql set enable_hashjoin = on as $$
    with recursive lacking as materialized (
        select e.id, p.id as parent_id, s.turns + row_number() over (order by e.id) as number, s.turns as before, s.version
        from (select s.id, s.turns, s.version from sessions s where s.id = session limit 1) s
        cross join lateral (
            select e.id, e.parent_id from edits e where e.session_id = s.id order by e.session_id, e.id
        ) e
        left join lateral (
            select p.id from edits p where p.id = e.parent_id and p.session_id is not distinct from session limit 1
        ) p on true
        left join lateral (select t.edit_id from turns t where t.edit_id = e.id limit 1) t on true
        where t.edit_id is null
    ),
    deep (id, depth) as (
        select l.id, coalesce(t.depth, 0) + 1
        from lacking l
        left join lateral (select t.depth from turns t where t.edit_id = l.parent_id limit 1) t on true
        where l.parent_id is null or t.depth is not null
        union all
        select l.id, d.depth + 1
        from deep d
        join lacking l on l.parent_id = d.id
    )
    insert into turns (edit_id, session_id, parent_id, depth, number, visited)
    select l.id, session, l.parent_id, d.depth, l.number, l.version + l.number - l.before
    from lacking l
    join deep d on d.id = l.id
$$;

create function edits_inserted_sessions() returns trigger
language plpgsql as $$
declare
    one record;
    told bigint;
begin
    for one in
        select n.session_id as id, count(*) as added, bool_or(t.edit_id is null) as lacking
        from new_rows n
        left join lateral (select t.edit_id from turns t where t.edit_id = n.id limit 1) t on true
        where n.session_id is not null
        group by n.session_id
        order by n.session_id
    loop
        update sessions s set events = s.events + one.added where s.id = one.id returning s.events - one.added into told;
        if one.lacking then
            perform turns_add(one.id);
        end if;
        insert into session_events (session_id, seq, at, edit_id, edit_seq)
        select one.id, told + row_number() over (order by t.number), clock_timestamp(), n.id, n.seq
        from new_rows n
        cross join lateral (select t.number from turns t where t.edit_id = n.id limit 1) t
        where n.session_id = one.id;

        -- Posting moves the head.
        update sessions s
        set used_at = now(),
            turns = newest.number,
            version = s.version + newest.number - s.turns,
            head = newest.id,
            image_id = coalesce(s.image_id, (
                select n.image_id from new_rows n where n.session_id = one.id and n.image_id is not null limit 1
            ))
        from (
            select n.id, t.number
            from new_rows n
            cross join lateral (select t.number from turns t where t.edit_id = n.id limit 1) t
            where n.session_id = one.id
            order by t.number desc
            limit 1
        ) newest
        where s.id = one.id;
    end loop;
    return null;
end
$$;

create function edits_updated_sessions() returns trigger
language plpgsql set enable_hashjoin = on as $$
declare
    one record;
    told bigint;
begin
    for one in
        select n.session_id as id, sum(n.seq - o.seq)::bigint as added, bool_or(n.state in ('failed', 'cancelled')) as lost
        from new_rows n
        join old_rows o on o.id = n.id
        where n.session_id is not null and n.seq > o.seq
        group by n.session_id
        order by n.session_id
    loop
        update sessions s set events = s.events + one.added where s.id = one.id returning s.events - one.added into told;
        insert into session_events (session_id, seq, at, edit_id, edit_seq)
        select one.id, told + row_number() over (order by n.id, k), clock_timestamp(), n.id, k
        from new_rows n
        join old_rows o on o.id = n.id
        cross join lateral generate_series(o.seq + 1, n.seq) k
        where n.session_id = one.id;

        if one.lost then
            update sessions s
            set head = turn_standing(s.head), version = s.version + 1
            where s.id = one.id and s.head is not null and turn_standing(s.head) is distinct from s.head;

            update session_branches b
            set edit_id = turn_standing(b.edit_id)
            where b.session_id = one.id and b.edit_id is not null and turn_standing(b.edit_id) is distinct from b.edit_id;
        end if;
    end loop;
    return null;
end
$$;

-- The nearest turn before this one that is left, of those that are gone and what each built on.
create function turn_left(session uuid, turn uuid, gone uuid[], parents uuid[]) returns uuid
language plpgsql stable as $$
declare
    at integer;
begin
    loop
        at := array_position(gone, turn);
        exit when at is null;
        turn := parents[at];
    end loop;
    return (select t.edit_id from turns t where t.edit_id = turn and t.session_id = session);
end
$$;

-- What stood at turns that are gone stands at the nearest that is left.
create function edits_deleted_sessions() returns trigger
language plpgsql as $$
declare
    one record;
begin
    for one in
        select o.session_id as id from old_rows o where o.session_id is not null group by o.session_id order by o.session_id
    loop
        perform from sessions s where s.id = one.id for no key update;

        update sessions s
        set head = turn_left(s.id, s.head, array(select o.id from old_rows o where o.session_id = one.id),
                array(select o.parent_id from old_rows o where o.session_id = one.id)),
            version = s.version + 1
        where s.id = one.id and s.head in (select o.id from old_rows o);

        update session_branches b
        set edit_id = turn_left(b.session_id, b.edit_id, array(select o.id from old_rows o where o.session_id = one.id),
                array(select o.parent_id from old_rows o where o.session_id = one.id))
        where b.session_id = one.id and b.edit_id in (select o.id from old_rows o);
    end loop;
    return null;
end
$$;

-- Triggers fire in the order of their names: these after the ones that write events and settle accounts.
create trigger edits_inserted_sessions after insert on edits
referencing new table as new_rows
for each statement execute function edits_inserted_sessions();

create trigger edits_updated_sessions after update on edits
referencing old table as old_rows new table as new_rows
for each statement execute function edits_updated_sessions();

create trigger edits_deleted_sessions after delete on edits
referencing old table as old_rows
for each statement execute function edits_deleted_sessions();
