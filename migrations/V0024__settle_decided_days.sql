-- Days of which every doubt was decided before V0023 wait for nobody. (A large table takes longer than a usual statement may.)
SET LOCAL statement_timeout = 0;
UPDATE closed_day d SET settled = true
WHERE d.suspect > 0 AND NOT d.settled AND NOT EXISTS (SELECT FROM (
  SELECT DISTINCT ON (x.starts_at) x.status FROM interval_exception x
  WHERE x.meter_id = d.meter_id AND x.channel = d.channel AND x.starts_at >= d.starts_at
    AND x.starts_at < d.ends_at AND x.lane = 0
  ORDER BY x.starts_at, x.version DESC) v WHERE v.status = 2);
