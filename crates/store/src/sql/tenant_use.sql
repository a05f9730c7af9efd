-- Days are few, and found by their key; nothing counts pictures or edits.
select
    t.in_flight,
    coalesce(u.stored, 0)::bigint as stored,
    coalesce(u.uploaded, 0)::bigint as uploaded
from tenants t
left join lateral (
    select
        greatest(sum(d.bytes - d.freed), 0) as stored,
        sum(d.uploaded) filter (where d.day = (now() at time zone 'utc')::date) as uploaded
    from usage d
    where d.tenant_id = t.id
) u on true
where t.id = $1
