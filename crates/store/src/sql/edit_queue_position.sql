select case when e.announced_at is not null then 0 else (
    select count(*)
    from (
        select 1
        from edits o
        where o.state = 'queued' and o.announced_at is null
            and o.model = e.model and o.needs = e.needs and o.class = e.class and o.id < e.id
        limit $2
    ) before
) end as places
from edits e
where e.id = $1 and e.state is not distinct from 'queued'
