-- Whose events were dropped with their month ended long ago: the last one is in the row.
select e.seq, e.at, e.kind, e.data, (select s.session_id from edits s where s.id = $1) as session_id
from (
    select v.seq, v.at, v.kind, v.data
    from edit_events v
    where v.edit_id = $1 and v.seq > $2
    union all
    select e.seq, e.finished_at, e.state,
        case when e.state = 'failed' then jsonb_build_object('attempts', e.attempts, 'error', e.error) else '{}' end
    from edits e
    where e.id = $1 and e.seq > $2 and e.finished_at is not null
        and not exists (select from edit_events v where v.edit_id = $1 and v.seq = e.seq)
) e
order by e.seq
limit $3
