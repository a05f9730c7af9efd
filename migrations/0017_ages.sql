-- outside a transaction
--
-- One coordinator prunes for all; webhooks say how the edit ended, whatever became of it since.
alter table fleet add column if not exists pruned_at timestamptz;
-- step
comment on column fleet.pruned_at is 'When a coordinator last began to prune: the others leave it alone for as long as the pause between two rounds.';
-- step
comment on column images.used_at is
    'Last uploaded, or named by a new edit, to the day. Retention counts from here; edits that name the image keep it as well.';
-- step
alter table webhooks add column if not exists ended jsonb;
-- step
comment on column webhooks.ended is 'The fields of the edit that a retry by hand changes, as they were when it ended. Null in rows of before.';
-- step
create or replace function webhooks_inserted() returns trigger
language plpgsql as $$
begin
    select jsonb_build_object(
        'state', e.state, 'seq', e.seq, 'attempts', e.attempts, 'error', e.error, 'finished_at', e.finished_at,
        'stage', e.stage, 'step', e.step, 'steps', e.steps
    )
    into new.ended
    from edits e
    where e.id = new.edit_id and e.state in ('failed', 'cancelled');
    return new;
end
$$;
-- step
create or replace trigger webhooks_inserted before insert on webhooks
for each row execute function webhooks_inserted();
