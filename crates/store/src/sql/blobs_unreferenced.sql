select asked.key
from unnest($1::text[]) as asked (key)
where not exists (select from images i where i.blob_key = asked.key)
    and not exists (select from artifacts a where a.blob_key = asked.key)
    and not exists (select from edits e where e.checkpoint_key = asked.key)
