-- Of tenants that keep more than $1 bytes what was not used for longest, and what nobody used for $2 seconds; at most $3.
with over as materialized (
    select i.tenant_id, sum(i.bytes) - $1 as excess
    from intermediates i
    group by i.tenant_id
    having sum(i.bytes) > $1
),
doomed as materialized (
    (
        select d.tenant_id, d.key
        from over o
        cross join lateral (
            select i.tenant_id, i.key,
                sum(i.bytes) over (order by i.used_at, i.key rows unbounded preceding) - i.bytes as before
            from (
                select * from intermediates k where k.tenant_id = o.tenant_id order by k.tenant_id, k.used_at limit $3
            ) i
        ) d
        where d.before < o.excess
        limit $3
    )
    union
    (
        select i.tenant_id, i.key from intermediates i
        where $2::float8 is not null and i.used_at < now() - make_interval(secs => $2)
        limit $3
    )
),
gone as (
    delete from intermediates i using doomed d where i.tenant_id = d.tenant_id and i.key = d.key
    returning i.bytes
)
select count(*) as pruned from gone g
