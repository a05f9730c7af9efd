-- Catalogs: many edits asked for at once. Rows wait in a table of their own; coordinators make edits of a few of them at a time. A
-- catalog is a batch, so that its edits name it.
--
-- Lock order: catalogs by id, before edits and all that follows them. Whoever changes states of rows holds their catalog's row, for its
-- counters are changed with them.
create table catalogs (
    id uuid primary key references batches on delete cascade,
    tenant_id uuid not null references tenants,
    settings jsonb not null,
    made_by text not null,
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    request_digest bytea not null check (length(request_digest) = 32),
    priority smallint not null default 0,
    version bigint not null default 1,
    row_count bigint not null default 0,
    waiting bigint not null default 0 check (waiting >= 0),
    live integer not null default 0 check (live >= 0),
    passed bigint not null default 0 check (passed >= 0),
    review bigint not null default 0 check (review >= 0),
    rejected bigint not null default 0 check (rejected >= 0),
    failed bigint not null default 0 check (failed >= 0),
    cancelled bigint not null default 0 check (cancelled >= 0),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    sealed_at timestamptz,
    paused_at timestamptz,
    cancelled_at timestamptz,
    ended_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index catalogs_tenant on catalogs (tenant_id, id);
create unique index catalogs_idempotency on catalogs (tenant_id, idempotency_key) where idempotency_key is not null;
create index catalogs_open on catalogs (tenant_id, priority desc, id) where ended_at is null;
comment on table catalogs is 'Many edits asked for at once: what their rows have in common, and how many are in which state.';
comment on column catalogs.settings is 'The request that made it.';
comment on column catalogs.made_by is 'Label of the key that made it.';
comment on column catalogs.version is 'Counts changes; who watches asks for it.';
comment on column catalogs.cancelled_at is 'Rows that wait are cancelled from then on, though their own rows still say that they wait.';

create table catalog_bases (
    catalog_id uuid not null references catalogs on delete cascade,
    id uuid not null,
    model text not null,
    spec jsonb not null,
    needs text[] not null,
    max_attempts smallint not null,
    webhook_url text,
    primary key (catalog_id, id)
);
comment on table catalog_bases is 'What specs of rows have in common. The id is of what it holds.';

create table catalog_rows (
    catalog_id uuid not null references catalogs on delete cascade,
    number bigint not null check (number >= 1),
    base_id uuid not null,
    image_id uuid not null,
    mask_id uuid,
    fields jsonb not null,
    sent jsonb not null,
    row_values jsonb not null,
    digest bytea not null check (length(digest) = 32),
    state text not null default 'waiting' check (
        state in ('waiting', 'live', 'passed', 'review', 'rejected', 'failed', 'cancelled')
    ),
    edit_id uuid,
    reasons text not null default '',
    error text,
    measures jsonb,
    decision jsonb,
    ended_at timestamptz,
    primary key (catalog_id, number),
    constraint catalog_rows_live check (state <> 'live' or edit_id is not null)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index catalog_rows_picture on catalog_rows (catalog_id, image_id, number);
create index catalog_rows_waiting on catalog_rows (catalog_id, image_id, number) where state = 'waiting';
create index catalog_rows_live on catalog_rows (catalog_id, number) where state = 'live';
create index catalog_rows_held on catalog_rows (catalog_id, state, number) where state in ('failed', 'review', 'rejected');
comment on column catalog_rows.fields is 'What its spec has beside that of its base.';
comment on column catalog_rows.sent is 'Fields of an edit request that came with it.';
comment on column catalog_rows.digest is 'Of the row as it came: one that is sent again is told from another with its number.';
