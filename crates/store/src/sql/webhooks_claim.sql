with due as materialized (
    select w.id
    from webhooks w
    where w.state = 'pending' and w.due_at <= now()
    order by w.due_at
    limit $1
    for no key update skip locked
)
update webhooks w
set attempts = w.attempts + 1,
    due_at = now() + make_interval(secs => $2)
from due d, tenants t
where w.id = d.id and t.id = w.tenant_id and w.state is not distinct from 'pending'
returning w.id, w.edit_id, w.tenant_id, w.url, w.event, w.attempts, t.webhook_secret
