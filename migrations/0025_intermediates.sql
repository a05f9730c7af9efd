-- What edits computed of pictures on their way, kept so that further edits of them need not: each by a key made of all that
-- determines it. It may go at any time; whoever misses it computes it again.
create table intermediates (
    tenant_id uuid not null references tenants on delete cascade,
    key bytea not null check (length(key) = 32),
    kind text not null check (length(kind) between 1 and 63),
    object bytea check (length(object) = 32),
    source bytea not null check (length(source) = 32),
    edit_id uuid not null,
    blob_key text not null check (length(blob_key) between 1 and 1024),
    digest bytea not null check (length(digest) = 32),
    bytes bigint not null check (bytes >= 0),
    hits bigint not null default 0,
    made_at timestamptz not null default clock_timestamp(),
    used_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
comment on column intermediates.object is 'Of a region: digest of its picture and of the words that name its object, whatever color was asked for.';
comment on column intermediates.source is 'Content of the picture that it was computed from: it goes with the image, or with the result, that is it.';
comment on column intermediates.edit_id is 'The edit that computed it, which may be gone.';
create index intermediates_blob on intermediates using hash (blob_key);
create index intermediates_source on intermediates (source);
create index intermediates_object on intermediates (tenant_id, object, made_at) where object is not null;
create index intermediates_used on intermediates (tenant_id, used_at) include (bytes);

create function intermediates_gone() returns trigger
language plpgsql as $$
begin
    insert into blob_deletions (key, until)
    select o.blob_key, now() from old_rows o order by o.blob_key
    on conflict (key) do nothing;
    return null;
end
$$;

create trigger intermediates_gone after delete on intermediates
referencing old table as old_rows
for each statement execute function intermediates_gone();
