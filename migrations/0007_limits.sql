-- Bounds per tenant on requests, uploads and storage; keys that expire; what is stored, by the days of `usage`.

-- Counted before anything is locked: what was deleted while nobody kept count of it.
create temporary table kept as
select tenant_id, sum(bytes)::bigint as bytes
from (
    select tenant_id, bytes from images
    union all
    select tenant_id, output_bytes from edits where finished_at is not null
) stored
group by tenant_id;

-- At the level of statements, so that none that deletes can forget it. Locks usage after edits and images, by tenant.
create function images_deleted() returns trigger
language plpgsql as $$
begin
    insert into usage as u (tenant_id, day, freed)
    select o.tenant_id, (now() at time zone 'utc')::date, sum(o.bytes)
    from old_rows o
    group by o.tenant_id
    having sum(o.bytes) > 0
    order by o.tenant_id
    on conflict (tenant_id, day) do update
    set freed = u.freed + excluded.freed;
    return null;
end
$$;

create function edits_deleted() returns trigger
language plpgsql as $$
begin
    insert into usage as u (tenant_id, day, freed)
    select o.tenant_id, (now() at time zone 'utc')::date, sum(o.output_bytes)
    from old_rows o
    where o.finished_at is not null
    group by o.tenant_id
    having sum(o.output_bytes) > 0
    order by o.tenant_id
    on conflict (tenant_id, day) do update
    set freed = u.freed + excluded.freed;
    return null;
end
$$;

create trigger edits_deleted after delete on edits
referencing old table as old_rows
for each statement execute function edits_deleted();

create trigger images_deleted after delete on images
referencing old table as old_rows
for each statement execute function images_deleted();

alter table api_keys
    add column expires_at timestamptz,
    add column used_at timestamptz;
comment on column api_keys.expires_at is 'When it stops working; null: never.';
comment on column api_keys.used_at is 'About when it was last used: gateways write it once a minute.';

alter table tenants
    add column request_rate double precision not null default 200 check (request_rate > 0 and request_rate <= 1e9),
    add column request_burst integer not null default 1000 check (request_burst >= 1),
    add column upload_bytes_daily bigint check (upload_bytes_daily >= 0),
    add column stored_bytes_limit bigint check (stored_bytes_limit >= 0);
comment on column tenants.request_rate is 'Requests a second of each key; counted by each gateway for itself.';
comment on column tenants.upload_bytes_daily is 'Bytes of new pictures a day (UTC); null: no bound.';
comment on column tenants.stored_bytes_limit is 'Bytes of pictures and results kept; null: no bound.';

alter table usage
    add column uploaded bigint not null default 0,
    add column freed bigint not null default 0;
comment on column usage.uploaded is 'Bytes of new pictures; in bytes as well.';
comment on column usage.freed is 'Bytes deleted. What a tenant has stored is the sum of bytes - freed over its days.';

insert into usage as u (tenant_id, day, freed)
select used.tenant_id, (now() at time zone 'utc')::date, used.bytes - coalesce(k.bytes, 0)
from (select tenant_id, sum(bytes)::bigint as bytes from usage group by tenant_id) used
left join kept k on k.tenant_id = used.tenant_id
where used.bytes > coalesce(k.bytes, 0)
order by used.tenant_id
on conflict (tenant_id, day) do update
set freed = excluded.freed;

drop table kept;
