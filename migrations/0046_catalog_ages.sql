-- outside a transaction
-- Catalogs go so long after their end, or after the last decision on their rows.
alter table catalogs add column if not exists decided_at timestamptz;
-- step
create index concurrently if not exists catalogs_ages on catalogs (ended_at) where ended_at is not null;
