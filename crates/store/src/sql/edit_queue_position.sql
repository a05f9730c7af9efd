-- What stands before it in its line, and of every other line of its kind as many, as far as it has them: tenants take turns.
select case when e.announced_at is not null then 0 else least($2, own.n + (
    select coalesce(sum(least(l.queued, own.n + 1)::integer), 0)
    from lines l
    where own.n < $2 and l.model = e.model and l.needs = e.needs and l.class = e.class and l.head is not null
        and l.tenant_id <> e.tenant_id and l.queued > 0
)) end as places
from edits e
cross join lateral (
    select count(*) as n
    from (
        select
        from edits o
        where o.state = 'queued' and o.announced_at is null
            and o.model = e.model and o.needs = e.needs and o.class = e.class and o.tenant_id = e.tenant_id and o.id < e.id
        limit $2
    ) before
) own
where e.id = $1 and e.state is not distinct from 'queued'
