-- A claim is a wait before the next try: who dies over it costs that wait.
with due as materialized (
    select d.key
    from blob_deletions d
    where d.due_at <= now()
    order by d.due_at
    limit $1
    for update skip locked
)
update blob_deletions d
set tries = d.tries + 1,
    due_at = now() + make_interval(secs => least(600, 30 * 2 ^ least(d.tries, 5)))
from due
where d.key = due.key and d.key = any (array(select key from due))
returning d.key, d.deleted_at is not null as again
