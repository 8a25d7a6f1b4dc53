-- Estimates (metering-rules 5): what was filled in, by which method, why, and what became of it.
ALTER TABLE meter_issue DROP CONSTRAINT meter_issue_subject_kind_check;
ALTER TABLE meter_issue ADD CHECK (subject_kind IN ('meter', 'collector', 'headend', 'transformer', 'zone')),
  ADD estimation_started_at timestamptz, ADD estimation_ended_at timestamptz,
  ADD billing_hold_from timestamptz, ADD billing_hold_to timestamptz, ADD billing_hold_released_by text,
  ADD volume_affected int8 NOT NULL DEFAULT 0,      -- milli-units of estimates because of this issue
  ADD leak_volume int8 NOT NULL DEFAULT 0,          -- mL
  ADD merged_into text REFERENCES meter_issue,
  ADD fix_action text, ADD verified_at timestamptz, ADD verify_rule text,
  ADD sla_due timestamptz, ADD queue text,
  ADD params_hash text NOT NULL DEFAULT '';

CREATE TABLE estimation (
  estimation_no int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  estimation_id text NOT NULL UNIQUE,
  starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL,   -- [first slot's start, last slot's end)
  billing_from timestamptz NOT NULL,                -- its values count for bills from here on
  total int8 NOT NULL, p10 int8, p90 int8,          -- milli-units
  error_milli int4, bias_milli int4,                -- expected, by the back-test
  meter_id int4 NOT NULL, n_intervals int4 NOT NULL CHECK (n_intervals > 0),
  len_s int4 NOT NULL CHECK (len_s > 0),
  channel int2 NOT NULL, method int2 NOT NULL CHECK (method BETWEEN 1 AND 12), method_version int2 NOT NULL,
  state text NOT NULL CHECK (state IN ('PROPOSED', 'APPLIED', 'REJECTED', 'SUPERSEDED_BY_ACTUAL',
    'SUPERSEDED_BY_ESTIMATE', 'EDITED', 'FINAL', 'REVERSED')),
  confidence text NOT NULL CHECK (confidence IN ('A', 'B', 'C', 'D')),
  status int2 NOT NULL CHECK (status IN (5, 6, 8)), -- of its slots
  scaled bool NOT NULL, scaling text NOT NULL DEFAULT '', residual text NOT NULL DEFAULT '0/1',
  issue_id text REFERENCES meter_issue,
  inputs jsonb NOT NULL DEFAULT '{}', alternatives jsonb NOT NULL DEFAULT '[]',
  review text[] NOT NULL DEFAULT '{}',
  slot_values int8[] NOT NULL, values_hash bytea NOT NULL,
  reason int2 NOT NULL, iec_codes text[] NOT NULL DEFAULT '{}',
  nem12_quality text NOT NULL DEFAULT '', nem12_method int2, nem12_reason int2 NOT NULL DEFAULT 0,
  bill_ids text[] NOT NULL DEFAULT '{}', true_up int8,
  created_by text NOT NULL, reviewed_by text, reviewed_at timestamptz, note text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
  CHECK (cardinality(slot_values) = n_intervals),
  CHECK (ends_at - starts_at = n_intervals * len_s * interval '1 second'));
CREATE INDEX estimation_channel ON estimation (meter_id, channel, starts_at);
CREATE INDEX estimation_issue ON estimation (issue_id);
CREATE INDEX estimation_unscaled ON estimation (ends_at) WHERE NOT scaled AND state = 'APPLIED';
CREATE INDEX estimation_state ON estimation (state, created_at);

CREATE TABLE estimation_log (
  estimation_no int8 NOT NULL REFERENCES estimation, seq int4 NOT NULL,
  from_state text, to_state text NOT NULL, at timestamptz NOT NULL,
  actor text NOT NULL, reason text NOT NULL DEFAULT '', PRIMARY KEY (estimation_no, seq));

CREATE TABLE true_up (                              -- actual - estimate, when truth came late
  estimation_no int8 NOT NULL REFERENCES estimation, starts_at timestamptz NOT NULL,
  estimate int8 NOT NULL, actual int8 NOT NULL, delta int8 NOT NULL,
  at timestamptz NOT NULL, bill_id text, tou_bucket text, PRIMARY KEY (estimation_no, starts_at));
