-- outside a transaction
--
-- What was computed of a picture goes with it, whichever statement deletes it.
create or replace function intermediates_of_images() returns trigger
language plpgsql as $$
begin
    delete from intermediates i
    using (
        select n.tenant_id, n.key
        from old_rows o
        cross join lateral (
            select k.tenant_id, k.key from intermediates k where k.source = o.digest and k.tenant_id = o.tenant_id order by k.key
        ) n
    ) d
    where i.tenant_id = d.tenant_id and i.key = d.key;
    return null;
end
$$;
-- step
create or replace trigger intermediates_of_images after delete on images
referencing old table as old_rows
for each statement execute function intermediates_of_images();
-- step
create or replace function intermediates_of_results() returns trigger
language plpgsql as $$
begin
    delete from intermediates i
    using (
        select n.tenant_id, n.key
        from old_rows o
        cross join lateral (
            select k.tenant_id, k.key
            from intermediates k
            where k.source = o.digest and k.tenant_id::text = split_part(o.blob_key, '/', 2)
            order by k.key
        ) n
        where o.kind = 'result'
    ) d
    where i.tenant_id = d.tenant_id and i.key = d.key;
    return null;
end
$$;
-- step
create or replace trigger intermediates_of_results after delete on artifacts
referencing old table as old_rows
for each statement execute function intermediates_of_results();
