with stood as (
    update turns t set visited = $3 where t.edit_id = $2
)
update sessions s set head = $2, version = $3 where s.id = $1
returning *
