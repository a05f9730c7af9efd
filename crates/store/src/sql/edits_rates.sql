-- How long the tenant's newest edits took, those that found their region and those that were given one.
select
    n.further, count(*) as edits,
    percentile_cont(array[0.1, 0.9]) within group (order by n.seconds) as seconds,
    percentile_cont(array[0.1, 0.9]) within group (order by n.device) as device
from (
    select
        coalesce(e.report -> 'reused' ? 'region', false) as further,
        extract(epoch from e.finished_at - e.started_at)::double precision as seconds,
        e.gpu_ms / 1000.0::double precision as device
    from (
        select e.* from edits e
        where e.tenant_id = $1 and e.id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
        order by e.id desc limit $4
    ) e
    where e.state = 'succeeded' and e.started_at is not null and e.model = $2 and e.spec ->> 'preset' = $3
        and e.mask_id is null
) n
group by n.further
