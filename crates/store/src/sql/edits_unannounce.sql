update edits e
set announced_at = null,
    next_announce_at = null,
    announcements = 0
where e.id = any ($1)
    and e.state is not distinct from 'queued'
    and e.announced_at is not null
