-- Blobs that are listed for deletion are no orphans: `t/<tenant>/edits/<edit>/...` goes with its edit, `t/<tenant>/files/<file>/...`
-- with its file, `t/<tenant>/...` with
-- its tenant.
select asked.key
from unnest($1::text[]) as asked (key)
where not exists (select from images i where i.blob_key = asked.key)
    and not exists (select from artifacts a where a.blob_key = asked.key)
    and not exists (select from edits e where e.checkpoint_key = asked.key)
    and not exists (select from intermediates k where k.blob_key = asked.key)
    and not exists (select from file_parts p where p.blob_key = asked.key)
    and not exists (
        select from blob_deletions d
        where d.key = any (array[
            asked.key,
            array_to_string((string_to_array(asked.key, '/'))[1:4], '/') || '/',
            array_to_string((string_to_array(asked.key, '/'))[1:2], '/') || '/'
        ])
    )
