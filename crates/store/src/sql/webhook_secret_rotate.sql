-- A second rotation within the overlap of the first would end a secret that receivers may still check with, as when the
-- answer to the first got lost. So it is only done when it asks for no overlap.
update tenants t
set webhook_secret_former = case when $3 > 0 then t.webhook_secret end,
    webhook_secret_former_until = case when $3 > 0 then now() + make_interval(secs => $3) end,
    webhook_secret = $2
where t.id = $1 and ($3 <= 0 or t.webhook_secret_former_until is null or t.webhook_secret_former_until <= now())
returning t.webhook_secret, t.webhook_secret_former, t.webhook_secret_former_until
