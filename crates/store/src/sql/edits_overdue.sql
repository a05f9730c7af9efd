-- By the queue that they were announced to: how many nobody has claimed, of queues in which one has waited for long.
select e.model, case when e.ahead then 'interactive' else e.class end as class, e.cohort, count(*) as unclaimed
from edits e
where e.state = 'queued' and e.announced_at is not null
group by 1, 2, 3
having min(e.next_announce_at) <= now()
order by 1, 2 desc, 3
