-- As in blobs_unreferenced.sql: what is listed for deletion is no orphan. Against the database speaks what would be deleted (an
-- orphan for as long as the grace, $4 seconds), and what there was no room to record: how old that is, nobody knows.
with orphans as materialized (
    select asked.key, asked.modified_s
    from unnest($1::text[], $2::bigint[]) as asked (key, modified_s)
    where not exists (select from images i where i.blob_key = asked.key)
        and not exists (select from artifacts a where a.blob_key = asked.key)
        and not exists (select from edits e where e.checkpoint_key = asked.key)
        and not exists (select from intermediates k where k.blob_key = asked.key)
        and not exists (
            select from blob_deletions d
            where d.key = any (array[
                asked.key,
                array_to_string((string_to_array(asked.key, '/'))[1:4], '/') || '/',
                array_to_string((string_to_array(asked.key, '/'))[1:2], '/') || '/'
            ])
        )
),
looked as materialized (
    select o.key, o.modified_s, c.key is null as fresh,
        coalesce(c.known and c.modified_s = o.modified_s, false) as known,
        coalesce(c.modified_s = o.modified_s and c.first_seen_at <= now() - make_interval(secs => $4), false) as old
    from orphans o
    left join lateral (select * from sweep_candidates c where c.key = o.key limit 1) c on true
),
recorded as (
    select l.key, l.modified_s from looked l where not l.fresh
    union all
    (select l.key, l.modified_s from looked l where l.fresh limit $3)
),
written as (
    insert into sweep_candidates as c (key, modified_s)
    select r.key, r.modified_s from recorded r order by r.key
    on conflict (key) do update set
        first_seen_at = case
            when c.modified_s = excluded.modified_s then c.first_seen_at
            else now()
        end,
        known = c.known and c.modified_s = excluded.modified_s,
        modified_s = excluded.modified_s,
        seen_at = now()
)
select
    n.old + n.fresh - least(n.fresh, $3) as unknown,
    least(n.fresh, $3) as fresh
from (
    select count(*) filter (where l.old and not l.known) as old, count(*) filter (where l.fresh) as fresh
    from looked l
) n
