-- The waits are those after 1, 2, 3, and 4 or more attempts. hung: 1, the engine hung on this edit; 2, on a call with several, this
-- one among them: the first time that is charged to nobody, and from then on the edit computes alone.
update edits e
set state = case
        when asked.final or not (asked.hung = 2 and e.hangs = 0)
            and (e.attempts + 1 >= e.max_attempts or e.hangs + least(asked.hung, 1) >= $10 and asked.hung > 0) then 'failed'
        else 'waiting'
    end,
    seq = e.seq + 1,
    attempts = case when asked.final or asked.hung = 2 and e.hangs = 0 then e.attempts else e.attempts + 1 end,
    hangs = e.hangs + least(asked.hung, 1),
    lease_expires_at = null,
    error = case
        when asked.hung = 2 and e.hangs > 0 then jsonb_set(asked.error, '{class}', '"hang"') else asked.error
    end,
    retry_at = case
        when asked.final or not (asked.hung = 2 and e.hangs = 0)
            and (e.attempts + 1 >= e.max_attempts or e.hangs + least(asked.hung, 1) >= $10 and asked.hung > 0) then null
        else clock_timestamp() + make_interval(secs =>
            case e.attempts when 0 then wait_1 when 1 then wait_2 when 2 then wait_3 else wait_4 end)
    end,
    finished_at = case
        when asked.final or not (asked.hung = 2 and e.hangs = 0)
            and (e.attempts + 1 >= e.max_attempts or e.hangs + least(asked.hung, 1) >= $10 and asked.hung > 0) then clock_timestamp()
    end
from unnest(
        $1::uuid[], $2::integer[], $3::boolean[], $4::jsonb[],
        $5::double precision[], $6::double precision[], $7::double precision[], $8::double precision[], $9::smallint[]
    ) as asked (id, epoch, final, error, wait_1, wait_2, wait_3, wait_4, hung)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
