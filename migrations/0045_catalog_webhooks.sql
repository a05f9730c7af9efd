-- outside a transaction
-- A catalog tells of its end, as edits do of theirs.
alter table webhooks alter column edit_id drop not null;
-- step
alter table webhooks add column if not exists catalog_id uuid;
-- step
alter table webhooks
    drop constraint if exists webhooks_of_catalog,
    add constraint webhooks_of_catalog foreign key (catalog_id) references catalogs on delete cascade not valid;
-- step
alter table webhooks validate constraint webhooks_of_catalog;
-- step
create index concurrently if not exists webhooks_catalog on webhooks (catalog_id) where catalog_id is not null;
-- step
create or replace function catalogs_ended() returns trigger
language plpgsql as $$
begin
    insert into webhooks (tenant_id, catalog_id, event, url)
    values (
        new.tenant_id, new.id, case when new.cancelled_at is null then 'catalog.ended' else 'catalog.cancelled' end,
        new.settings ->> 'webhook'
    );
    return null;
end
$$;
-- step
create or replace trigger catalogs_ended after update on catalogs
for each row when (old.ended_at is null and new.ended_at is not null and new.settings ->> 'webhook' is not null)
execute function catalogs_ended();
