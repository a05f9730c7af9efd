-- Of each endpoint, those that are due for longest, as many as there is room for. A claim counts as no attempt; the end of
-- the claim names it, since the next one can only end later.
with due as materialized (
    select d.id
    from unnest($1::uuid[], $2::text[], $3::integer[]) as asked (tenant_id, origin, room)
    cross join lateral (
        select w.id
        from webhooks w
        where w.state = 'pending'
            and w.tenant_id = asked.tenant_id
            and webhook_origin(w.url) collate "C" = asked.origin
            and w.due_at <= now()
        order by w.due_at
        limit asked.room
        for no key update skip locked
    ) d
)
update webhooks w
set due_at = now() + make_interval(secs => $4)
from due d, tenants t
where w.id = d.id and t.id = w.tenant_id and w.state is not distinct from 'pending'
returning
    w.id, w.edit_id, w.catalog_id, w.ended, w.tenant_id, webhook_origin(w.url) as origin, w.url, w.event, w.attempts, w.due_at,
    extract(epoch from now() - w.created_at)::double precision as age_s,
    t.webhook_secret,
    case when t.webhook_secret_former_until > now() then t.webhook_secret_former end as webhook_secret_former
