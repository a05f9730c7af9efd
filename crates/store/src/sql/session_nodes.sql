select t.edit_id, t.parent_id, t.visited, e.lost
from turns t
cross join lateral (select e.state in ('failed', 'cancelled') as lost from edits e where e.id = t.edit_id limit 1) e
where t.session_id = $1
order by t.session_id, t.number
