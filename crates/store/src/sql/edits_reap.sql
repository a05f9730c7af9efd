-- An outage, in which no lease could be renewed, shows as a gap between the rounds of all reapers. Leases are taken only once
-- their workers had the time of a lease since its end; `now()` is the time at which the round began, whatever held it up.
-- $2: lease time in seconds of workers that are not known. Null takes what has run out, and nothing is noted.
with known as materialized (
    select least(make_interval(secs => $2), min(w.ttl)) as ttl
    from workers w
    where w.seen_at > coalesce((select f.reaped_at from fleet f), 'epoch') - 3 * w.ttl
),
pulse as (
    update fleet f
    set reaped_at = now(),
        leases_held_since = case when f.reaped_at > now() - k.ttl / 2 then f.leases_held_since else now() end
    from known k
    where $2 is not null
    returning f.leases_held_since as since, k.ttl
),
expired as materialized (
    select e.id, e.worker_id
    from edits e
    where e.state = 'running' and e.lease_expires_at <= now()
        and not exists (
            select from pulse p
            where p.since > now() - coalesce(
                (select w.ttl from workers w where w.id = e.worker_id), make_interval(secs => $2)
            )
        )
    order by e.id
    limit $1
    for no key update skip locked
),
moved as (
    update edits e
    set state = case when not x.excused and e.attempts + 1 >= e.max_attempts then 'failed' else 'queued' end,
        seq = e.seq + 1,
        attempts = case when x.excused then e.attempts else e.attempts + 1 end,
        lease_expires_at = null,
        error = case
            when not x.excused and e.attempts + 1 >= e.max_attempts then
                jsonb_build_object('class', 'poison', 'code', 'worker_died',
                    'message', (e.attempts + 1) || ' workers died with this edit, none with progress')
            else e.error
        end,
        finished_at = case when not x.excused and e.attempts + 1 >= e.max_attempts then clock_timestamp() end
    from (
        -- Progress since the claim excuses a death, but for an edit that starts over again and again.
        select x.id, x.worker_id, b.checkpoint_step > b.claim_step and b.restarts < b.max_attempts as excused
        from expired x
        cross join lateral (select * from edits b where b.id = x.id limit 1) b
    ) x
    where e.id = x.id and e.id = any (array(select id from expired))
        and e.state is not distinct from 'running'
    returning e.id, e.tenant_id, e.epoch, e.state, e.seq, x.worker_id
)
select
    extract(epoch from p.ttl)::double precision as ttl_s,
    p.since > now() - p.ttl as holding,
    m.*
from (select) one
left join pulse p on true
left join moved m on true
