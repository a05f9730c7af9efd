with gone as (
    delete from webhooks w
    where w.id in (
        select o.id
        from webhooks o
        where o.state <> 'pending' and o.finished_at < now() - make_interval(secs => $1)
        order by o.finished_at
        limit $2
    )
    returning w.id
)
select count(*) as pruned from gone
