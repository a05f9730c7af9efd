-- outside a transaction
--
-- Device time that shows only once the edit has ended: of a cancelled one, when its worker has stopped.
create or replace function edits_charged() returns trigger
language plpgsql as $$
begin
    insert into usage as u (tenant_id, day, gpu_ms)
    values (new.tenant_id, (now() at time zone 'utc')::date, new.gpu_ms - old.gpu_ms)
    on conflict (tenant_id, day) do update
    set gpu_ms = u.gpu_ms + excluded.gpu_ms;
    return null;
end
$$;
-- step
create or replace trigger edits_charged after update of charged_epoch on edits
for each row when (new.gpu_ms > old.gpu_ms) execute function edits_charged();
