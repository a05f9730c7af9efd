with expired as materialized (
    select e.id, e.worker_id
    from edits e
    where e.state = 'running' and e.lease_expires_at <= now()
    order by e.id
    limit $1
    for no key update skip locked
)
update edits e
set state = case
        when e.checkpoint_step <= e.claim_step and e.attempts + 1 >= e.max_attempts then 'failed' else 'queued'
    end,
    seq = e.seq + 1,
    attempts = case when e.checkpoint_step > e.claim_step then e.attempts else e.attempts + 1 end,
    lease_expires_at = null,
    error = case
        when e.checkpoint_step <= e.claim_step and e.attempts + 1 >= e.max_attempts then
            jsonb_build_object('class', 'poison', 'code', 'worker_died',
                'message', (e.attempts + 1) || ' workers died with this edit, none with progress')
        else e.error
    end,
    finished_at = case
        when e.checkpoint_step <= e.claim_step and e.attempts + 1 >= e.max_attempts then clock_timestamp()
    end
from expired x
where e.id = x.id and e.id = any (array(select id from expired))
    and e.state is not distinct from 'running'
returning e.id, e.tenant_id, e.epoch, e.state, e.seq, x.worker_id
