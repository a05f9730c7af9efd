-- No more than $6 rows are looked at, in case that few of them are asked for. The inner query stops with the outer one.
select *
from (
    select *
    from edits
    where tenant_id = $1
        and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    order by id desc
    limit $6
) e
where ($3::text is null or e.state = $3)
    and ($4::text is null or e.model = $4)
order by e.id desc
limit $5
