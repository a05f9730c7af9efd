-- outside a transaction
--
-- What workers take on, and hangs of the engine as a failure of their own.
alter table workers
    add column if not exists limits jsonb not null default '{}';
-- step
comment on column workers.limits is 'By model: the largest size and the largest costs of an edit that it takes. Empty: it says nothing.';
-- step
alter table edits
    add column if not exists hangs smallint not null default 0;
-- step
comment on column edits.hangs is 'Attempts in which the engine hung, alone on this edit or once among others. At two the edit fails, whatever max_attempts says.';
-- step
alter table tenants
    add column if not exists attempts_max smallint not null default 5;
-- step
comment on column tenants.attempts_max is 'What max_attempts of its edits is at most; a request for more gets this.';
