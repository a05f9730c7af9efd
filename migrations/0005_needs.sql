-- outside a transaction
--
-- What an edit needs of its worker, and what workers can do; edits that start over; a reaper that knows of outages.
alter table edits
    add column if not exists needs text[] not null default '{}',
    add column if not exists able_epoch integer,
    add column if not exists restarts smallint not null default 0;
-- step
comment on column edits.needs is 'Fields it uses that the first workers did not know, sorted. Only a worker that can do them all may claim it.';
-- step
comment on column edits.able_epoch is 'With needs: the epoch of the last claim that looked at them. Programs that know of no needs leave it behind.';
-- step
comment on column edits.restarts is 'How often it started over because its checkpoint could not be used.';
-- step
alter table workers add column if not exists can text[] not null default '{}';
-- step
comment on column workers.can is 'Needs of edits that it can do.';
-- step
alter table fleet
    add column if not exists reaped_at timestamptz,
    add column if not exists leases_held_since timestamptz;
-- step
comment on column fleet.reaped_at is 'When a reaper last looked at the leases. A gap is an outage, in which nobody could renew any.';
-- step
comment on column fleet.leases_held_since is 'End of the last outage: workers get the time of a lease from then on to renew theirs.';
-- step
-- The line again, by needs. Programs of before use edits_line; it goes once they are gone.
create index concurrently if not exists edits_lines on edits (model, needs, class, tenant_id, id)
    where state = 'queued' and announced_at is null;
-- step
-- A program that knows of no needs can't claim an edit that has some: it would leave out what it does not know, and call the
-- wrong picture a success.
alter table edits
    drop constraint if exists edits_able,
    add constraint edits_able check (state <> 'running' or needs = '{}' or coalesce(able_epoch, 0) = epoch) not valid;
-- step
alter table edits validate constraint edits_able;
