-- Turns that the statement which ended their parent left alone. A look at some of those that wait, in the order of their
-- parents from $2 on: the whole of it is gone through in slices.
with looked as materialized (
    select e.id, e.parent_id
    from edits e
    where e.state = 'waiting' and e.retry_at is null and e.parent_id > $2
    order by e.parent_id
    fetch first ($1::int) rows with ties
),
ready as materialized (
    select q.id, p.state as parent_state
    from (select * from looked order by id) l
    cross join lateral (select p.state, p.finished_at from edits p where p.id = l.parent_id limit 1) p
    cross join lateral (
        select q.id from edits q
        where q.id = l.id and q.state is not distinct from 'waiting' and q.retry_at is null
        for no key update skip locked
    ) q
    where p.finished_at is not null
),
moved as (
    update edits e
    set state = case r.parent_state when 'succeeded' then 'queued' else 'failed' end,
        seq = e.seq + 1,
        error = case when r.parent_state <> 'succeeded' then
            jsonb_build_object('class', 'parent', 'code', 'parent_failed',
                'message', 'the edit it builds on, ' || e.parent_id || ', has no result')
        end,
        finished_at = case when r.parent_state <> 'succeeded' then clock_timestamp() end
    from ready r
    where e.id = r.id and e.id = any (array(select id from ready))
        and e.state is not distinct from 'waiting'
    returning e.id, e.tenant_id, e.epoch, e.state, e.seq, null::uuid as worker_id
)
select n.looked, n.last, m.*
from (
    select count(*) as looked, max(l.parent_id::text)::uuid as last from looked l
) n
left join moved m on true
