-- The fleet's truth. Every statement on it is in crates/store; migrations expand first and contract a release later.
--
-- Lock order, everywhere: edits by id, then tenants by id, then usage. A submit takes tenants first, but nobody waits for
-- the edits it inserts.

create table tenants (
    id uuid primary key,
    name text not null unique check (length(name) between 1 and 100),
    rate_per_second double precision not null check (rate_per_second > 0 and rate_per_second <= 1e9),
    rate_burst integer not null check (rate_burst >= 1),
    rate_tokens double precision not null,
    rate_at timestamptz not null default now(),
    in_flight integer not null default 0 check (in_flight >= 0),
    in_flight_limit integer not null check (in_flight_limit >= 0),
    webhook_secret text not null,
    created_at timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table tenants is 'Who is charged. Counter and token bucket are in the row, so that limits are exact across gateways.';
comment on column tenants.rate_tokens is 'Tokens in the bucket at rate_at; a submitted edit takes one.';
comment on column tenants.in_flight is 'Edits that have not ended. Kept by the triggers on edits, by nothing else.';
comment on column tenants.webhook_secret is 'Signs webhooks (HMAC), so it cannot be hashed.';

create table api_keys (
    id uuid primary key,
    tenant_id uuid not null references tenants on delete cascade,
    hash bytea not null unique check (length(hash) = 32),
    role text not null check (role in ('tenant', 'admin')),
    label text not null check (length(label) <= 200),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
comment on column api_keys.hash is 'BLAKE3 of the secret, which has 256 bits of entropy and needs no salt.';
create index api_keys_tenant on api_keys (tenant_id);

create table images (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    digest bytea not null check (length(digest) = 32),
    blob_key text not null,
    media_type text not null,
    bytes bigint not null check (bytes >= 0),
    width integer not null check (width > 0),
    height integer not null check (height > 0),
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now(),
    unique (tenant_id, digest)
);
comment on column images.used_at is 'Last uploaded. Retention counts from here; edits that name the image keep it as well.';
create index images_key on images using hash (blob_key);
create index images_used on images (used_at);

create table sessions (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now()
);
create index sessions_used on sessions (used_at);
comment on column sessions.used_at is 'When an edit last came in. What is older than the retention is no live session.';

create table batches (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    label text not null default '' check (length(label) <= 200),
    created_at timestamptz not null default now()
);
comment on table batches is 'Edits that were asked for at once.';

create table edits (
    id uuid primary key,
    tenant_id uuid not null references tenants,
    session_id uuid references sessions,
    batch_id uuid references batches,
    image_id uuid references images,
    parent_id uuid references edits,
    mask_id uuid references images,
    model text not null check (model ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    class text not null check (class in ('interactive', 'bulk')),
    spec jsonb not null,
    born text not null check (born in ('waiting', 'queued')),
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    request_digest bytea check (length(request_digest) = 32),
    webhook_url text check (length(webhook_url) <= 2048),
    trace text check (length(trace) <= 512),
    created_at timestamptz not null default clock_timestamp(),

    state text not null check (state in ('waiting', 'queued', 'running', 'succeeded', 'failed', 'cancelled')),
    seq bigint not null default 1 check (seq >= 1),
    epoch integer not null default 0 check (epoch >= 0),
    attempts smallint not null default 0 check (attempts >= 0),
    max_attempts smallint not null check (max_attempts >= 1),
    worker_id uuid,
    lease_expires_at timestamptz,
    retry_at timestamptz,
    announced_at timestamptz,
    announcements integer not null default 0 check (announcements >= 0),
    next_announce_at timestamptz,
    checkpoint_key text,
    checkpoint_step integer not null default 0 check (checkpoint_step >= 0),
    checkpoint_digest bytea check (length(checkpoint_digest) = 32),
    checkpoint_bytes bigint check (checkpoint_bytes >= 0),
    claim_step integer not null default 0 check (claim_step >= 0),
    stage text,
    step integer check (step >= 0),
    steps integer check (steps >= 0),
    error jsonb,
    report jsonb,
    gpu_ms bigint not null default 0 check (gpu_ms >= 0),
    output_bytes bigint not null default 0 check (output_bytes >= 0),
    events_pruned boolean not null default false,
    started_at timestamptz,
    finished_at timestamptz,

    constraint edits_start check (num_nonnulls(image_id, parent_id) = 1),
    constraint edits_idempotency_whole check ((idempotency_key is null) = (request_digest is null)),
    constraint edits_running check (
        (state = 'running') = (lease_expires_at is not null)
        and (state <> 'running' or (worker_id is not null and epoch >= 1 and started_at is not null))
    ),
    constraint edits_waiting check (
        case when state = 'waiting' then retry_at is not null or parent_id is not null else retry_at is null end
    ),
    constraint edits_announced check (
        (announced_at is null) = (next_announce_at is null)
        and (announced_at is null or (state = 'queued' and announcements >= 1))
    ),
    constraint edits_ended check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint edits_failed check (state <> 'failed' or error is not null),
    constraint edits_attempts check (
        attempts < max_attempts or (attempts = max_attempts and state = 'failed')
    ),
    constraint edits_checkpoint check (
        num_nonnulls(checkpoint_key, checkpoint_digest, checkpoint_bytes) in (0, 3)
        and (checkpoint_key is not null) = (checkpoint_step > 0)
        and claim_step <= checkpoint_step
    )
) with (
    -- Room for a renewal, a progress or an announcement beside the row: none of them touches an indexed column.
    fillfactor = 80,
    -- Rows are written about five times each: the default of a fifth of the table would be a long wait.
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 2000
);
comment on table edits is 'The edits, and at once their outbox (announced_at) and their queue.';
comment on column edits.born is 'The first state; an idempotent replay answers it.';
comment on column edits.seq is 'Number of the newest event. Every statement that changes state or progress adds one; the trigger writes the event.';
comment on column edits.epoch is 'Claims so far. Every effect of a worker names it.';
comment on column edits.attempts is 'Deaths and failures without progress.';
comment on column edits.worker_id is 'Who holds the lease; after it, who held it last.';
comment on column edits.retry_at is 'Waiting: for this time; without it, for the parent.';
comment on column edits.announced_at is 'Queued: handed to the broker. Null: not released yet.';
comment on column edits.checkpoint_step is 'Steps done in the newest checkpoint.';
comment on column edits.claim_step is 'checkpoint_step at the last claim: a death with more than that has made progress.';
comment on column edits.error is 'The newest failure: {class, code, message}.';
comment on column edits.events_pruned is 'Retention has taken all events but the last.';

-- Few and partial: an index costs an entry for every version of a row it holds, and an edit has about five.
create index edits_tenant on edits (tenant_id, id);
create unique index edits_idempotency on edits (tenant_id, idempotency_key) where idempotency_key is not null;
create index edits_session on edits (session_id, id) where session_id is not null;
create index edits_batch on edits (batch_id, id) where batch_id is not null;
create index edits_image on edits (image_id) where image_id is not null;
create index edits_mask on edits (mask_id) where mask_id is not null;
create index edits_parent on edits (parent_id) where parent_id is not null;
create index edits_checkpoint_key on edits using hash (checkpoint_key) where checkpoint_key is not null;
-- The queue: what may be released, in line; what is announced; what runs; what waits.
create index edits_line on edits (model, class, tenant_id, id) where state = 'queued' and announced_at is null;
create index edits_announced on edits (model, tenant_id) where state = 'queued' and announced_at is not null;
create index edits_running on edits (model, tenant_id) where state = 'running';
create index edits_retry on edits (retry_at) where state = 'waiting' and retry_at is not null;
create index edits_turns on edits (parent_id) where state = 'waiting' and retry_at is null;
-- What ended.
create index edits_dead on edits (id) where state = 'failed';
create index edits_finished on edits (finished_at) where finished_at is not null;
create index edits_chatty on edits (finished_at) where finished_at is not null and not events_pruned;
create index edits_kept on edits (finished_at) where finished_at is not null and checkpoint_key is not null;

create table edit_events (
    edit_id uuid not null,
    seq bigint not null check (seq >= 1),
    at timestamptz not null,
    kind text not null check (
        kind in ('waiting', 'queued', 'started', 'progress', 'retrying', 'succeeded', 'failed', 'cancelled')
    ),
    data jsonb not null,
    primary key (edit_id, seq)
);
comment on table edit_events is
    'The history of the rows of edits, written by their triggers alone (so no foreign key looks after it) and pruned by age.';

create table artifacts (
    edit_id uuid not null references edits on delete cascade,
    kind text not null check (kind in ('result', 'roi', 'segments', 'attention', 'overlay', 'report')),
    blob_key text not null,
    digest bytea not null check (length(digest) = 32),
    bytes bigint not null check (bytes >= 0),
    media_type text not null,
    width integer check (width > 0),
    height integer check (height > 0),
    primary key (edit_id, kind)
);
comment on table artifacts is 'The results that are referenced. A blob that no row names is an orphan.';
create index artifacts_key on artifacts using hash (blob_key);

create table usage (
    tenant_id uuid not null references tenants,
    day date not null,
    edits bigint not null default 0,
    gpu_ms bigint not null default 0,
    bytes bigint not null default 0,
    primary key (tenant_id, day)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table usage is 'Per tenant and day (UTC): edits that ended, device time, bytes uploaded and made.';

create table workers (
    id uuid primary key,
    name text not null,
    models text[] not null,
    slots integer not null check (slots >= 0),
    busy integer not null default 0 check (busy >= 0),
    version text not null,
    device text not null,
    draining boolean not null default false,
    ttl interval not null check (ttl > interval '0'),
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
comment on table workers is 'One row for each run of a worker. Not heard of for three ttl: dead.';

create table webhooks (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references tenants,
    edit_id uuid not null references edits on delete cascade,
    event text not null,
    url text not null,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'given_up')),
    attempts integer not null default 0 check (attempts >= 0),
    due_at timestamptz not null default now(),
    error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint webhooks_ended check ((state = 'pending') = (finished_at is null))
) with (fillfactor = 80);
comment on column webhooks.due_at is 'When to try next; while an attempt is under way, when to think it lost.';
create index webhooks_due on webhooks (due_at) where state = 'pending';
create index webhooks_finished on webhooks (finished_at) where state <> 'pending';
create index webhooks_edit on webhooks (edit_id);

create table fleet (
    only_row boolean primary key default true check (only_row),
    paused boolean not null default false
);
comment on table fleet is 'Settings of the fleet as a whole: one row.';
insert into fleet default values;
