-- Batches with something to do that nobody is at. Of a tenant one is read at a time.
with open as materialized (
    select b.id, b.lease_until, case
        when c.ended_at is not null then 'finish'
        when c.cancelled_at is null and (b.expires_at <= now() or b.cancelling_at is not null) then 'stop'
        when b.in_progress_at is null and b.cancelling_at is null and c.cancelled_at is null and not exists (
            select from openai_batches o
            where o.tenant_id = b.tenant_id and o.done_at is null and o.id <> b.id and o.in_progress_at is null and o.lease_until > now()
        ) then 'read'
    end as phase
    from openai_batches b
    cross join lateral (select c.ended_at, c.cancelled_at from catalogs c where c.id = b.id limit 1) c
    where b.done_at is null and (b.lease_until is null or b.lease_until < now())
),
picked as materialized (
    select b.id, o.phase
    from (select * from open o where o.phase is not null order by o.lease_until nulls first, o.id limit $1) o
    cross join lateral (
        select b.id from openai_batches b
        where b.id = o.id and b.done_at is null and (b.lease_until is null or b.lease_until < now())
        for update skip locked
    ) b
)
update openai_batches b
set lease = $2, lease_until = now() + make_interval(secs => $3)
from picked p
where b.id = p.id
returning b.*, p.phase
