select before.id, before.request_digest, before.born, before.created_at
from unnest($2::text[]) with ordinality as asked (key, place)
left join lateral (
    select b.id, b.request_digest, b.born, b.created_at
    from edits b
    where b.tenant_id = $1 and b.idempotency_key = asked.key
    limit 1
) before on true
order by asked.place
