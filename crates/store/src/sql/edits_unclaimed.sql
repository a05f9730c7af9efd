-- Those of these edits that were announced and nobody has claimed.
select e.id from edits e
where e.id = any ($1)
    and e.state is not distinct from 'queued'
    and e.announced_at is not null
