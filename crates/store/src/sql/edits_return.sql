-- Edits that were announced to a worker that can't do them go back to the line.
update edits e
set announced_at = null,
    next_announce_at = null,
    announcements = 0
from unnest($2::uuid[]) as asked (id)
where e.id = asked.id
    and e.id = any ($2)
    and e.state is not distinct from 'queued'
    and e.announced_at is not null
    and not e.needs <@ coalesce((select w.can from workers w where w.id = $1), '{}')
