select v.seq, v.head, e.edit_id, e.seq as edit_seq, e.at, e.kind, e.data
from session_events v
left join lateral (
    select e.edit_id, e.seq, e.at, e.kind, e.data
    from edit_events e
    where e.edit_id = v.edit_id and e.seq = v.edit_seq
    limit 1
) e on true
where v.session_id = $1 and v.seq > $2
order by v.seq
limit $3
