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
-- Materialized apart: by the index of what runs, whatever the planner thinks of the table.
due as materialized (
    select e.id, e.worker_id from edits e where e.state = 'running' and e.lease_expires_at <= now()
),
expired as materialized (
    select e.id, e.worker_id, e.excused
    from (
        select d.id
        from due d
        where not exists (
            select from pulse p
            where p.since > now() - coalesce(
                (select w.ttl from workers w where w.id = d.worker_id), make_interval(secs => $2)
            )
        )
        order by d.id
        limit $1
    ) d
    cross join lateral (
        -- Progress since the claim excuses a death, but for an edit that starts over again and again.
        select q.id, q.worker_id, q.checkpoint_step > q.claim_step and q.restarts < q.max_attempts as excused
        from edits q
        where q.id = d.id and q.state is not distinct from 'running' and q.lease_expires_at <= now()
        for no key update skip locked
    ) e
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
    from expired x
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
