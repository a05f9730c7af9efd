-- outside a transaction
-- The object that a row is about: rows of a picture about the same one wait for the first of them, and take its region. The nil id: it
-- waits for nobody.
alter table catalog_rows add column if not exists object_id uuid not null default '00000000-0000-0000-0000-000000000000';
-- step
create index concurrently if not exists catalog_rows_turns on catalog_rows (catalog_id, image_id, object_id, number)
    where state = 'waiting';
-- step
create index concurrently if not exists catalog_rows_ended on catalog_rows (catalog_id, image_id, object_id, number)
    where state in ('passed', 'review', 'rejected', 'failed');
-- step
drop index concurrently if exists catalog_rows_waiting;
-- step
drop index concurrently if exists catalog_rows_picture;
