select asked.key
from unnest($1::text[]) as asked (key)
where exists (select from images i where i.blob_key = asked.key)
    or exists (select from artifacts a where a.blob_key = asked.key)
    or exists (select from edits e where e.checkpoint_key = asked.key)
    or exists (select from intermediates k where k.blob_key = asked.key)
    or exists (select from file_parts p where p.blob_key = asked.key)
