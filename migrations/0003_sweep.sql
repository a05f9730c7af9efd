-- Whose a bucket is, and what may be deleted from it.
--
-- A database and a bucket (or a prefix in one) belong together: the fleet's id is here and in the marker, an object in the
-- bucket. Every minute a coordinator writes the time into both, here first: so a marker that is newer than this row tells that
-- the database was restored from before, and knows less than lies in the bucket.

alter table fleet
    add column id uuid not null default gen_random_uuid(),
    add column marked_at timestamptz,
    add column newest_edit uuid,
    add column walk_began_at timestamptz,
    add column sweep_stopped boolean not null default false;
comment on column fleet.id is 'Made once. The marker in the bucket names it, too.';
comment on column fleet.marked_at is 'When the marker was last written; never older than the marker itself, or this is a restored database.';
comment on column fleet.newest_edit is 'The newest edit at that time, for people: a deleted one stays here.';
comment on column fleet.walk_began_at is 'When a coordinator last began to walk through the blobs.';
comment on column fleet.sweep_stopped is 'On the last walk more looked like orphans than may: nothing is swept until fewer do, or an operator accepts them.';

create table sweep_candidates (
    key text primary key,
    modified_s bigint not null,
    known boolean not null default false,
    first_seen_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
) with (fillfactor = 50);
comment on table sweep_candidates is
    'Blobs that no row referred to when they were last looked at. Deleted when that was so on two walks a grace apart.';
comment on column sweep_candidates.modified_s is
    'When the blob was written, in seconds since 1970; another time makes it another candidate.';
comment on column sweep_candidates.known is
    'An operator accepted it: it says nothing against this database.';
comment on column sweep_candidates.first_seen_at is 'Of the walk that found it first; the grace counts from here.';
