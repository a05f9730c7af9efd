-- outside a transaction
--
-- What goes when a tenant is erased is found by its tenant.
create index concurrently if not exists sessions_tenant on sessions (tenant_id);
-- step
create index concurrently if not exists batches_tenant on batches (tenant_id);
-- step
create index concurrently if not exists webhooks_tenant on webhooks (tenant_id);
