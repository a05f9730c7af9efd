select *
from edits
where session_id = $6::uuid
    and tenant_id is not distinct from $1
    and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and ($3::text is null or state = $3)
    and ($4::text is null or model = $4)
    and ($7::uuid is null or batch_id = $7)
order by id desc
limit $5
