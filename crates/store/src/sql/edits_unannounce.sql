update edits e
set announced_at = null,
    next_announce_at = null,
    announcements = 0
from unnest($1::uuid[]) as asked (id)
where e.id = asked.id
    and e.id = any ($1)
    and e.state is not distinct from 'queued'
    and e.announced_at is not null
