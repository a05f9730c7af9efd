-- Live rows whose edits ended, or are gone.
select
    r.number, r.edit_id, r.image_id, r.mask_id is not null as masked, r.reasons, r.measures,
    coalesce(jsonb_array_length(r.steps), 0) > r.step as more, r.step > 0 as further, e.state, e.error ->> 'message' as error,
    extract(epoch from e.finished_at - e.started_at)::double precision as seconds,
    jsonb_build_object(
        'recolor', e.report -> 'recolor', 'way', e.report -> 'way', 'roi_share', e.report -> 'roi_share',
        'composite', e.report -> 'composite', 'engine', e.report -> 'engine', 'seed', e.spec -> 'seed',
        'reused', e.report -> 'reused', 'region_from', e.report -> 'region_from'
    ) as report
from catalog_rows r
left join lateral (select e.* from edits e where e.id = r.edit_id limit 1) e on true
where r.catalog_id = $1 and r.state = 'live' and (e.id is null or e.finished_at is not null)
order by r.number
limit $2
