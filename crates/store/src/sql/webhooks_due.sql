-- One hop through webhooks_line for each endpoint that anything is pending for, from one on; $3 hops at most. Of what is
-- due for one, no more than $4 are counted.
with recursive endpoints (tenant_id, origin, hop) as (
    (
        select w.tenant_id, webhook_origin(w.url) collate "C", 1
        from webhooks w
        where w.state = 'pending' and (w.tenant_id, webhook_origin(w.url) collate "C") > ($1, $2)
        order by w.tenant_id, webhook_origin(w.url) collate "C"
        limit 1
    )
    union all
    select n.tenant_id, n.origin, e.hop + 1
    from endpoints e
    cross join lateral (
        select w.tenant_id, webhook_origin(w.url) collate "C" as origin
        from webhooks w
        where w.state = 'pending' and (w.tenant_id, webhook_origin(w.url) collate "C") > (e.tenant_id, e.origin)
        order by w.tenant_id, webhook_origin(w.url) collate "C"
        limit 1
    ) n
    where e.hop < $3
)
select e.tenant_id, e.origin, d.due
from endpoints e
cross join lateral (
    select count(*)::integer as due
    from (
        select
        from webhooks w
        where w.state = 'pending'
            and w.tenant_id = e.tenant_id
            and webhook_origin(w.url) collate "C" = e.origin
            and w.due_at <= now()
        limit $4
    ) few
) d
