-- What is deleted on somebody's word is gone from the bucket within minutes, whatever dies meanwhile: the transaction that
-- deletes the rows lists their blobs here, and coordinators work the list off.

create table blob_deletions (
    key text primary key check (length(key) between 1 and 1024),
    due_at timestamptz not null default now() + interval '30 s',
    until timestamptz not null,
    tries integer not null default 0 check (tries >= 0),
    listed_at timestamptz not null default now(),
    deleted_at timestamptz
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on table blob_deletions is
    'Blobs to delete: a key, or the start of keys when it ends with a slash. A blob that a row refers to stays.';
comment on column blob_deletions.due_at is
    'When to delete next. At first longer than any statement takes, so that no upload that began before can refer to the key unseen.';
comment on column blob_deletions.until is
    'The row stays until then: no upload takes the key meanwhile, and what a worker that lost its lease still puts goes too.';
create index blob_deletions_due on blob_deletions (due_at);
create index blob_deletions_pending on blob_deletions (listed_at) where deleted_at is null;

alter table tenants add column erasing_at timestamptz;
comment on column tenants.erasing_at is
    'When an operator had the tenant erased. Coordinators delete what it has, in batches, and its row at last.';
create index tenants_erasing on tenants (erasing_at) where erasing_at is not null;

create table usage_erased (
    day date primary key,
    edits bigint not null default 0,
    gpu_ms bigint not null default 0,
    bytes bigint not null default 0
);
comment on table usage_erased is 'What tenants that were erased had used, all of them together, so that sums over the fleet stay true.';

alter table fleet add column roles text;
comment on column fleet.roles is
    'Prefix of the components'' roles, which each migration grants their rights anew; null: all use the role that migrates.';
