-- What the close of a local day says: one row per channel-day. Intervals of a validated day that had
-- arrived by `closed_at` and have no version of their own are Validated; only what failed has rows
-- (interval_exception). The columns are the summary that later days need.
CREATE TABLE closed_day (
  starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL,   -- the local day
  closed_at timestamptz NOT NULL,                                 -- log time of the newest verdict
  total int8 NOT NULL, peak int8 NOT NULL,         -- of valid actuals, milli-units
  failing int8 NOT NULL, warned int8 NOT NULL,     -- rules, as bits
  flat_value int8 NOT NULL,
  zero_since timestamptz, flat_since timestamptz, reactive_since timestamptz,
  meter_id int4 NOT NULL, zero_longest_s int4 NOT NULL, flat_slots int4 NOT NULL,
  channel int2 NOT NULL, revision int2 NOT NULL CHECK (revision > 0),
  slots int2 NOT NULL, actual int2 NOT NULL, suspect int2 NOT NULL,
  pf_permille int2 NOT NULL, lacking_days int2 NOT NULL,
  validated bool NOT NULL, outage bool NOT NULL, switched_off bool NOT NULL,
  PRIMARY KEY (meter_id, channel, starts_at), CHECK (starts_at < ends_at)
) PARTITION BY RANGE (starts_at);

CREATE INDEX closed_day_suspect ON closed_day (starts_at) WHERE suspect > 0;

-- What of a closed day must not be billed without a look.
CREATE TABLE day_hold (
  meter_id int4 NOT NULL, channel int2 NOT NULL, starts_at timestamptz NOT NULL,
  kind text NOT NULL CHECK (kind IN ('interval', 'demand', 'tou_split', 'review')),
  rule_no int2 NOT NULL, from_at timestamptz NOT NULL, to_at timestamptz NOT NULL,
  released_at timestamptz, released_by text,
  PRIMARY KEY (meter_id, channel, starts_at, kind, rule_no, from_at));

-- How far the days of a channel are closed, and when the next is due (log time).
CREATE TABLE day_cursor (
  meter_id int4 NOT NULL, channel int2 NOT NULL,
  closed_through timestamptz NOT NULL, due_at timestamptz NOT NULL, PRIMARY KEY (meter_id, channel));
CREATE INDEX day_cursor_due ON day_cursor (due_at);

-- Days (UTC) that got data after they were closed. `touched` grows with each batch, so that a
-- verdict takes away no mark that it has not seen.
CREATE TABLE day_touched (
  meter_id int4 NOT NULL, channel int2 NOT NULL, day date NOT NULL,
  touched int8 NOT NULL DEFAULT 1, noted_at timestamptz NOT NULL, PRIMARY KEY (meter_id, channel, day));
CREATE INDEX day_touched_noted ON day_touched (noted_at);

-- What rules of closed windows said last. Channel 0: about the meter as a whole.
CREATE TABLE finding (
  from_at timestamptz NOT NULL, to_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
  detail int8 NOT NULL, log_seq int8 NOT NULL, meter_id int4 NOT NULL,
  channel int2 NOT NULL, rule_no int2 NOT NULL CHECK (rule_no BETWEEN 1 AND 67),
  kind int2 NOT NULL,
  outcome int2 NOT NULL CHECK (outcome BETWEEN 0 AND 3),          -- pass, warn, fail, not evaluable
  PRIMARY KEY (meter_id, channel, from_at, rule_no, kind, to_at));
CREATE INDEX finding_bad ON finding (to_at) WHERE outcome IN (1, 2);

-- interval_exception becomes the version record of metering-rules 6.2 (decision 0011).
ALTER TABLE interval_exception
  ADD method int2 NOT NULL DEFAULT 0 CHECK (method BETWEEN 0 AND 12),
  -- reason: 0 first, 1 late data, 2 re-estimated, 3 edited, 4 conflict, 5 undo, 6 day close, 7 staff
  ADD reason int2 NOT NULL DEFAULT 0 CHECK (reason BETWEEN 0 AND 7),
  ADD source int2 NOT NULL DEFAULT 1,     -- 1 device, 2 judged, 3 estimation, 4 staff
  ADD lane int2 NOT NULL DEFAULT 0 CHECK (lane BETWEEN 0 AND 1),   -- 0 may be best, 1 history alone
  ADD undoes int2,                        -- the version that this one takes back
  ADD estimation_no int8,
  ADD log_seq int8,
  ADD actor text NOT NULL DEFAULT 'ingest',
  ADD note text NOT NULL DEFAULT '';
CREATE INDEX interval_exception_estimation ON interval_exception (estimation_no)
  WHERE estimation_no IS NOT NULL;
CREATE INDEX interval_exception_suspect ON interval_exception (starts_at) WHERE status = 2;
