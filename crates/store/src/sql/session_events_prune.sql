with old as materialized (
    select v.session_id, v.seq
    from session_events v
    where v.at < now() - make_interval(secs => $1)
    order by v.at
    limit $2
),
gone as (
    delete from session_events v using old o where v.session_id = o.session_id and v.seq = o.seq
)
select count(*) as pruned from old
