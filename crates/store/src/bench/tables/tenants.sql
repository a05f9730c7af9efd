insert into tenants (
    id, name, rate_per_second, rate_burst, rate_tokens, in_flight_limit, webhook_secret, created_at
)
select gen_random_uuid(), 'tables-' || n, 1e9, 1000000000, 1e9, 1000000000, 'none', now() + n * interval '1 us'
from generate_series(1, $1::bigint) n
where ($2::bigint, $3::bigint, $4::bigint) is not null
