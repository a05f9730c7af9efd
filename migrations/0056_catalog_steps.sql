-- outside a transaction
-- A row may be about several objects of its picture, one after the other: each an edit that builds on the one before.
alter table catalog_rows add column if not exists steps jsonb;
-- step
alter table catalog_rows add column if not exists step smallint not null default 0;
-- step
comment on column catalog_rows.steps is 'What comes after its first edit: of each its base, and what its spec has beside that.';
-- step
comment on column catalog_rows.step is 'How many of them were begun.';
