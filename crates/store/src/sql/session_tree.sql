select
    s.*,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', t.edit_id, 'number', t.number, 'parent', t.parent_id, 'depth', t.depth, 'state', e.state,
            'instruction', coalesce(e.instruction, ''), 'created_at', e.created_at, 'finished_at', e.finished_at, 'error', e.error
        ) order by t.number), '[]')
        from (
            select t.* from turns t where t.session_id = s.id order by t.session_id desc, t.number desc limit $3
        ) t
        cross join lateral (
            select e.state, e.spec ->> 'instruction' as instruction, e.created_at, e.finished_at, e.error
            from edits e where e.id = t.edit_id limit 1
        ) e
    ) as tree,
    (
        select coalesce(jsonb_agg(jsonb_build_object('name', b.name, 'turn', b.edit_id) order by b.name), '[]')
        from session_branches b
        where b.session_id = s.id
    ) as branches
from sessions s
where s.id = $1 and s.tenant_id = $2
