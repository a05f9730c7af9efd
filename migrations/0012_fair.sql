-- outside a transaction
--
-- Bulk that steps aside for interactive edits, bulk that has waited for long, and cohorts of workers that can do the same.
alter table edits
    add column if not exists ahead boolean not null default false,
    add column if not exists cohort text,
    add column if not exists asides smallint not null default 0,
    add column if not exists aside_epoch integer,
    add column if not exists aside_at timestamptz,
    add column if not exists charged_epoch integer;
-- step
comment on column edits.ahead is 'Bulk that waited for long: announced, or running, with the interactive edits.';
-- step
comment on column edits.cohort is 'Announced: to the workers of this cohort alone, since others of the model can not do it.';
-- step
comment on column edits.asides is 'How often it was asked to give its slot to an interactive edit.';
-- step
comment on column edits.aside_epoch is 'Under which claim it was last asked to; aside_at says when.';
-- step
comment on column edits.charged_epoch is 'The last claim whose device time was charged after the edit had ended.';
-- step
alter table workers
    add column if not exists cohort text,
    add column if not exists steps_aside boolean not null default false;
-- step
comment on column workers.cohort is 'Names what it can do; it reads the queues of this cohort besides those of all. Null: a program that knows no cohorts.';
-- step
comment on column workers.steps_aside is 'Whether its edits step aside when they are asked to.';
