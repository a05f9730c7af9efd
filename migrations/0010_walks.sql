-- A walk whose coordinator died is known by this, and another begins soon.

alter table fleet add column walk_seen_at timestamptz;
comment on column fleet.walk_seen_at is 'When the walk last went on; null once what it found was dealt with.';
