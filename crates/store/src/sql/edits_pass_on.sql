-- Handed back, with needs that nobody knew of when it was submitted.
update edits e
set state = 'queued',
    seq = e.seq + 1,
    lease_expires_at = null,
    needs = array(
        select n
        from (
            select n from unnest(e.needs) as n union select n from jsonb_array_elements_text(asked.needs) as n
        ) both_of (n)
        order by n collate "C"
    )
from unnest($1::uuid[], $2::integer[], $3::jsonb[]) as asked (id, epoch, needs)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
