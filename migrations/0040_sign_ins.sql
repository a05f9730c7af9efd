-- Who is signed in to the page of a gateway: a cookie stands for a key, and ends with it. Only hashes are stored. A row that works
-- once is a link, spent by its first use.
create table sign_ins (
    hash bytea primary key,
    key_id uuid not null references api_keys on delete cascade,
    once boolean not null default false,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sign_ins_key on sign_ins (key_id, created_at);
create index sign_ins_expired on sign_ins (expires_at);
