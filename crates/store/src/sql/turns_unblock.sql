with ready as materialized (
    select e.id, p.state as parent_state
    from edits e
    cross join lateral (select p.state, p.finished_at from edits p where p.id = e.parent_id limit 1) p
    where e.state = 'waiting' and e.retry_at is null
        and p.finished_at is not null
    order by e.id
    limit $1
    for no key update of e skip locked
)
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
