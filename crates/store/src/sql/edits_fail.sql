-- The waits are those after 1, 2, 3, and 4 or more attempts. hung: 1, the engine hung on this edit; 2, it
-- hung or panicked on a call with several, this one among them: the first time that is charged to nobody, and from then on the
-- edit computes alone.
update edits e
set seq = e.seq + 1,
    hangs = e.hangs + least(asked.hung, 1),
    gpu_ms = e.gpu_ms + asked.gpu_ms,
    lease_expires_at = null,
    (state, attempts, error, retry_at, finished_at) = (
        select
            case when r.ends then 'failed' else 'waiting' end,
            case when r.charged then e.attempts + 1 else e.attempts end,
            case when asked.hung = 2 and r.charged then jsonb_set(asked.error, '{class}', '"hang"') else asked.error end,
            case when not r.ends then
                clock_timestamp() + make_interval(secs =>
                    case e.attempts when 0 then wait_1 when 1 then wait_2 when 2 then wait_3 else wait_4 end)
            end,
            case when r.ends then clock_timestamp() end
        from (select not asked.final and not (asked.hung = 2 and e.hangs = 0) as charged) c
        cross join lateral (
            select
                c.charged,
                asked.final or c.charged
                    and (e.attempts + 1 >= e.max_attempts or asked.hung > 0 and e.hangs + least(asked.hung, 1) >= $10) as ends
        ) r
    )
from unnest(
        $1::uuid[], $2::integer[], $3::boolean[], $4::jsonb[],
        $5::double precision[], $6::double precision[], $7::double precision[], $8::double precision[], $9::smallint[],
        $11::bigint[]
    ) as asked (id, epoch, final, error, wait_1, wait_2, wait_3, wait_4, hung, gpu_ms)
where e.id = asked.id
    and e.id = any ($1)
    and e.epoch = asked.epoch
    and e.state is not distinct from 'running'
returning e.id, e.seq
