-- The sessions that submissions name, and those of the turns that they build on. Locked, so that no head moves until the
-- submissions are written; after the tenants, as everywhere.
select s.id, s.tenant_id, s.image_id, s.head, s.version, s.turns
from sessions s
where s.id = any (array(
        select n.id from unnest($1::uuid[]) as n (id) where n.id is not null
        union
        select p.session_id
        from unnest($2::uuid[]) as n (id)
        cross join lateral (select p.session_id from edits p where p.id = n.id limit 1) p
        where p.session_id is not null
    ))
    and s.tenant_id = any ($3::uuid[])
order by s.id
for no key update
