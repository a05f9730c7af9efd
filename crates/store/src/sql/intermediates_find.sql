-- Those of the keys, and of the object's regions ($3) the one that was made first.
select f.key, f.kind, f.edit_id, f.blob_key, f.digest, f.bytes, false as of_object
from unnest($2::bytea[]) as asked (key)
cross join lateral (
    select * from intermediates i where i.tenant_id = $1 and i.key = asked.key limit 1
) f
union all
select f.key, f.kind, f.edit_id, f.blob_key, f.digest, f.bytes, true as of_object
from (
    select * from intermediates i
    where i.tenant_id = $1 and i.object = $3
    order by i.tenant_id, i.object, i.made_at
    limit 1
) f
