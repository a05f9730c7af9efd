-- outside a transaction
--
-- Segments that were asked for of a picture (an image, or the result of an edit): the newest are looked up by it.
alter table artifacts
    drop constraint if exists artifacts_kind_check,
    add constraint artifacts_kind_check check (
        kind in ('result', 'roi', 'segments', 'attention', 'overlay', 'matte', 'labels', 'parts', 'patch', 'report')
    ) not valid;
-- step
alter table artifacts validate constraint artifacts_kind_check;
-- step
create index concurrently if not exists edits_segmentations on edits (coalesce(image_id, parent_id), id)
    where spec ? 'segments';
