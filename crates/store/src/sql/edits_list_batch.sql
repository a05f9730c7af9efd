select *
from edits
where batch_id = $7::uuid
    and tenant_id is not distinct from $1
    and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and ($3::text is null or state = $3)
    and ($4::text is null or model = $4)
    and $6::uuid is null
order by id desc
limit $5
