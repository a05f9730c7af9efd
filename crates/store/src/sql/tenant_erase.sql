-- From here on nobody can add to it: its keys are revoked, and no edit is in its limit. Its blobs are no orphans, and go with
-- its row.
with begun as (
    update tenants t
    set erasing_at = coalesce(t.erasing_at, now()), in_flight_limit = 0
    where t.id = $1
    returning t.id
),
revoked as (
    update api_keys k set revoked_at = now() from begun b where k.tenant_id = b.id and k.revoked_at is null
),
listed as (
    insert into blob_deletions (key, due_at, until) select 't/' || b.id || '/', 'infinity', 'infinity' from begun b
    on conflict (key) do nothing
)
select count(*) as begun from begun
