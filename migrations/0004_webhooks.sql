-- outside a transaction
--
-- Webhooks: a line for each endpoint, and a former secret while one is replaced.
alter table tenants
    add column if not exists webhook_secret_former text,
    add column if not exists webhook_secret_former_until timestamptz;
-- step
comment on column tenants.webhook_secret is
    'Signs webhooks (HMAC), so it cannot be hashed. The key is what follows whsec_, in base64; the 64 hex digits of older ones are base64 too.';
-- step
comment on column tenants.webhook_secret_former is 'Signs beside webhook_secret until webhook_secret_former_until.';
-- step
create index concurrently if not exists tenants_webhook_secret_former on tenants (webhook_secret_former_until)
    where webhook_secret_former_until is not null;
-- step
-- Scheme, host and port of a webhook's URL, which is written as the URL standard has it. No host name of more than 253
-- characters can be looked up; the bound keeps the index's entries small.
create or replace function webhook_origin(url text) returns text
language sql immutable parallel safe
as $$ select coalesce(left(substring(url from '^[^:/?#]+://[^/?#]*'), 300), '') $$;
-- step
create index concurrently if not exists webhooks_line on webhooks (tenant_id, webhook_origin(url) collate "C", due_at)
    where state = 'pending';
-- step
comment on column webhooks.attempts is 'Requests that were sent and whose outcome is known.';
-- step
comment on column webhooks.due_at is 'When to try next; while it is claimed, the end of the claim, which names it.';
