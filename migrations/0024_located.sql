-- outside a transaction
--
-- Where an edit will change its picture, told as soon as it is known and kept for those who come later: an event before that of the
-- progress that brought it. A statement that writes it adds two to seq.
alter table edits add column if not exists located text;
-- step
comment on column edits.located is 'The region, a small PNG in base64.';
-- step
alter table edit_events
    drop constraint if exists edit_events_kind_check,
    add constraint edit_events_kind_check check (
        kind in ('waiting', 'queued', 'started', 'located', 'progress', 'retrying', 'succeeded', 'failed', 'cancelled')
    ) not valid;
-- step
alter table edit_events validate constraint edit_events_kind_check;
-- step
create or replace function edits_updated_located() returns trigger
language plpgsql set enable_hashjoin = on as $$
begin
    insert into edit_events (edit_id, seq, at, kind, data)
    select n.id, n.seq - 1, clock_timestamp(), 'located', jsonb_build_object('png', n.located)
    from new_rows n
    join old_rows o on o.id = n.id
    where n.located is not null and o.located is null;
    return null;
end
$$;
-- step
create or replace trigger edits_updated_located after update on edits
referencing old table as old_rows new table as new_rows
for each statement execute function edits_updated_located();
