-- Where a tenant's pictures may be fetched from, and pictures that rows of catalogs name by their address.
create table sources (
    id uuid primary key,
    tenant_id uuid not null references tenants on delete cascade,
    place text not null check (length(place) <= 2048),
    endpoint text check (length(endpoint) <= 2048),
    region text check (length(region) <= 64),
    access_key text check (length(access_key) <= 256),
    secret_key text check (length(secret_key) <= 256),
    created_at timestamptz not null default now(),
    unique (tenant_id, place)
);
comment on table sources is 'What addresses begin with that a tenant''s pictures may be fetched from; buckets with credentials of their own.';

create table catalog_pictures (
    catalog_id uuid not null references catalogs on delete cascade,
    id uuid not null,
    address text not null,
    host text not null,
    state text not null default 'waiting' check (state in ('waiting', 'there', 'failed')),
    image_id uuid,
    digest bytea check (length(digest) = 32),
    error text,
    tries integer not null default 0,
    due_at timestamptz not null default now(),
    lease uuid,
    primary key (catalog_id, id)
) with (fillfactor = 80);
create index catalog_pictures_due on catalog_pictures (host, due_at) where state = 'waiting';
comment on table catalog_pictures is 'Pictures that rows name by their address. The id is of that.';
comment on column catalog_pictures.digest is 'Of what was there first: what is there later must be the same.';
comment on column catalog_pictures.due_at is 'When it is asked for, or asked for again where whoever did died.';
