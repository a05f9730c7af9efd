-- outside a transaction
--
-- The matte of an edit that was laid over its input: which pixels of the result are the input's own.
alter table artifacts
    drop constraint if exists artifacts_kind_check,
    add constraint artifacts_kind_check check (
        kind in ('result', 'roi', 'segments', 'attention', 'overlay', 'matte', 'report')
    ) not valid;
-- step
alter table artifacts validate constraint artifacts_kind_check;
