-- outside a transaction
-- A row may name its picture by an address: until that was fetched it is nothing that can be started.
alter table catalog_rows add column if not exists picture_id uuid;
-- step
alter table catalog_rows
    drop constraint if exists catalog_rows_state_check,
    add constraint catalog_rows_state_check check (
        state in ('waiting', 'fetching', 'live', 'passed', 'review', 'rejected', 'failed', 'cancelled')
    ) not valid;
-- step
alter table catalog_rows validate constraint catalog_rows_state_check;
-- step
create index concurrently if not exists catalog_rows_fetching on catalog_rows (catalog_id, picture_id) where state = 'fetching';
