-- Whatever ends an edit moves the turns that wait for it, in the same transaction: those of a success are queued, those of
-- another end fail, and all that build on them.
--
-- The trigger fires after edits_updated (triggers fire in the order of their names), which has the tenant's row by then: so
-- every turn that was submitted before is seen here, and later ones see how the parent ended. Turns that somebody else is
-- changing are left alone, since nobody may wait for an edit with the tenant's row in hand; turns_unblock looks after them.

create function edits_updated_turns() returns trigger
language plpgsql as $$
declare
    parents uuid[];
    turns uuid[];
begin
    select array_agg(n.id) into parents from new_rows n where n.state = 'succeeded';
    if parents is not null then
        select array_agg(t.id order by t.id) into turns
        from unnest(parents) as p (id)
        cross join lateral (
            select q.id from edits q
            where q.parent_id = p.id and q.state = 'waiting' and q.retry_at is null
            for no key update skip locked
        ) t;
        if turns is not null then
            update edits e set state = 'queued', seq = e.seq + 1 where e.id = any (turns);
        end if;
    end if;

    select array_agg(n.id) into parents from new_rows n where n.state in ('failed', 'cancelled');
    if parents is null then
        return null;
    end if;
    with recursive generations (id) as (
        select t.id
        from unnest(parents) as p (id)
        cross join lateral (
            select q.id from edits q where q.parent_id = p.id and q.state = 'waiting' and q.retry_at is null
        ) t
        union
        select t.id
        from generations g
        cross join lateral (
            select q.id from edits q where q.parent_id = g.id and q.state = 'waiting' and q.retry_at is null
        ) t
    )
    select array_agg(l.id order by l.id) into turns
    from generations g
    cross join lateral (
        select q.id from edits q where q.id = g.id and q.state = 'waiting' for no key update skip locked
    ) l;
    if turns is not null then
        update edits e
        set state = 'failed',
            seq = e.seq + 1,
            error = jsonb_build_object('class', 'parent', 'code', 'parent_failed',
                'message', 'the edit it builds on, ' || e.parent_id || ', has no result'),
            -- Nobody is told of what is being erased.
            webhook_url = (select e.webhook_url from tenants t where t.id = e.tenant_id and t.erasing_at is null),
            finished_at = clock_timestamp()
        where e.id = any (turns);
    end if;
    return null;
end
$$;

create trigger edits_updated_turns after update on edits
referencing new table as new_rows
for each statement execute function edits_updated_turns();
