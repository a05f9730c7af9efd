-- What workers take on, and hangs of the engine as a failure of their own.

alter table workers
    add column limits jsonb not null default '{}';
comment on column workers.limits is 'By model: the largest size and the largest costs of an edit that it takes. Empty: it says nothing.';

alter table edits
    add column hangs smallint not null default 0;
comment on column edits.hangs is 'Attempts in which the engine hung. At two the edit fails, whatever max_attempts says.';

alter table tenants
    add column attempts_max smallint not null default 5;
comment on column tenants.attempts_max is 'What max_attempts of its edits is at most; a request for more gets this.';
