-- Files of OpenAI's API, and its batches. What a file holds lies in parts, so that no process holds all of it.
create table files (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    purpose text not null default '' check (length(purpose) <= 40),
    filename text not null default '',
    bytes bigint not null default 0 check (bytes >= 0),
    image_id uuid references images on delete cascade,
    catalog_id uuid references catalogs on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    ready boolean not null default false
);
create index files_tenant on files (tenant_id, id);
create index files_ages on files (expires_at) where expires_at is not null;
create index files_image on files (image_id) where image_id is not null;
create index files_catalog on files (catalog_id) where catalog_id is not null;
comment on table files is 'Files of OpenAI''s API: of rows, of pictures, and what came of a batch.';
comment on column files.image_id is 'The picture that it is.';
comment on column files.catalog_id is 'The batch that it tells of: made of its rows when it is asked for.';
comment on column files.ready is 'All of it came. One that is not ready goes with its expiry.';

create table file_parts (
    file_id uuid not null references files on delete cascade,
    number integer not null check (number >= 0),
    blob_key text not null unique,
    digest bytea not null check (length(digest) = 32),
    bytes bigint not null check (bytes > 0),
    primary key (file_id, number)
);
comment on table file_parts is 'What a file holds, in this order.';

-- As of images: no statement that deletes can forget it.
create function files_deleted() returns trigger
language plpgsql as $$
begin
    insert into usage as u (tenant_id, day, freed)
    select o.tenant_id, (now() at time zone 'utc')::date, sum(o.bytes)
    from old_rows o
    where o.ready and o.image_id is null and o.catalog_id is null
    group by o.tenant_id
    having sum(o.bytes) > 0
    order by o.tenant_id
    on conflict (tenant_id, day) do update
    set freed = u.freed + excluded.freed;
    return null;
end
$$;

create trigger files_deleted after delete on files
referencing old table as old_rows
for each statement execute function files_deleted();

-- A batch of OpenAI's API is a catalog of the same id, whose rows are read of a file by whichever gateway holds the lease.
create table openai_batches (
    id uuid primary key references catalogs on delete cascade,
    tenant_id uuid not null references tenants,
    input_file_id uuid not null,
    completion_window text not null,
    metadata jsonb,
    lines bigint not null default 0 check (lines >= 0),
    refused bigint not null default 0 check (refused >= 0),
    read_bytes bigint not null default 0 check (read_bytes >= 0),
    read_lines bigint not null default 0 check (read_lines >= 0),
    errors jsonb,
    output_file_id uuid,
    error_file_id uuid,
    lease uuid,
    lease_until timestamptz,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    in_progress_at timestamptz,
    cancelling_at timestamptz,
    expiring_at timestamptz,
    finalizing_at timestamptz,
    done_at timestamptz,
    outcome text check (outcome in ('completed', 'failed', 'expired', 'cancelled'))
) with (fillfactor = 70);
create index openai_batches_tenant on openai_batches (tenant_id, id);
create index openai_batches_open on openai_batches (tenant_id, id) where done_at is null;
comment on column openai_batches.lines is 'Lines with a request.';
comment on column openai_batches.refused is 'Those that became no row.';
comment on column openai_batches.read_bytes is 'Bytes of the file that were read, up to the end of a line.';
comment on column openai_batches.read_lines is 'Lines in them, empty ones included.';

create table openai_batch_lines (
    batch_id uuid not null references openai_batches on delete cascade,
    line bigint not null check (line >= 1),
    custom_id text not null,
    status smallint not null,
    error jsonb not null,
    primary key (batch_id, line)
);
comment on table openai_batch_lines is 'Requests of a batch that became no row, and why.';
