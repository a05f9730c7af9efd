-- What is over goes with it, and of one key no more than so many are kept.
with over as (
    delete from sign_ins where hash in (select o.hash from sign_ins o where o.expires_at <= now() order by o.expires_at limit 1000)
),
many as (
    delete from sign_ins where hash in (
        select m.hash from sign_ins m where m.key_id = $2 and m.expires_at > now() order by m.created_at desc offset $5
    )
)
insert into sign_ins (hash, key_id, once, expires_at) values ($1, $2, $3, now() + make_interval(secs => $4))
