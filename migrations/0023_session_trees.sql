-- outside a transaction
--
-- Sessions of before get their trees, some at a time; nobody waits for it.
alter table sessions
    drop constraint if exists sessions_image,
    add constraint sessions_image foreign key (image_id) references images on delete set null not valid,
    drop constraint if exists sessions_head,
    add constraint sessions_head foreign key (id, head) references turns (session_id, edit_id)
        deferrable initially deferred not valid,
    drop constraint if exists sessions_title,
    add constraint sessions_title check (length(title) <= 200) not valid;
-- step
alter table sessions validate constraint sessions_image;
-- step
alter table sessions validate constraint sessions_head;
-- step
alter table sessions validate constraint sessions_title;
-- step
create index concurrently if not exists sessions_listed on sessions (tenant_id, id);
-- step
create index concurrently if not exists sessions_pictures on sessions (image_id) where image_id is not null;
-- step
do $$
declare
    these uuid[];
    last uuid := '00000000-0000-0000-0000-000000000000';
begin
    loop
        these := array(select s.id from sessions s where s.id > last and s.turns = 0 order by s.id limit 100);
        exit when these = '{}';
        last := these[array_upper(these, 1)];
        perform from sessions s where s.id = any (these) order by s.id for no key update;
        perform turns_add(s.id) from sessions s where s.id = any (these) and s.turns = 0;
        update sessions s
        set turns = newest.number,
            version = s.version + newest.number,
            image_id = coalesce(s.image_id, (
                select e.image_id from turns t join edits e on e.id = t.edit_id
                where t.session_id = s.id and e.image_id is not null
                order by t.number limit 1
            )),
            head = (
                select t.edit_id from turns t join edits e on e.id = t.edit_id
                where t.session_id = s.id and e.state not in ('failed', 'cancelled')
                order by t.number desc limit 1
            )
        from (
            select t.session_id, max(t.number) as number from turns t where t.session_id = any (these) group by t.session_id
        ) newest
        where s.id = newest.session_id and s.turns = 0;
        commit;
    end loop;
end
$$;
