-- What rules say (alert) and what staff work on (meter_issue), with a history that is only appended to.
CREATE TABLE alert (
  alert_id text PRIMARY KEY, rule_no int2 NOT NULL, rule text NOT NULL,
  subject_kind text NOT NULL, subject_id int4 NOT NULL, cause text NOT NULL, family text NOT NULL,
  severity int2 NOT NULL CHECK (severity BETWEEN 1 AND 4),
  condition_start timestamptz NOT NULL, raised_at timestamptz NOT NULL, cleared_at timestamptz, retracted_at timestamptz,
  issue_id text, evidence jsonb NOT NULL DEFAULT '{}');
CREATE INDEX alert_subject ON alert (subject_kind, subject_id);
CREATE INDEX alert_issue ON alert (issue_id);

CREATE TABLE meter_issue (
  issue_id text PRIMARY KEY, number int8 GENERATED ALWAYS AS IDENTITY UNIQUE,
  subject_kind text NOT NULL CHECK (subject_kind IN ('meter', 'collector', 'headend')), subject_id int4 NOT NULL,
  channel int2, commodity text,
  family text NOT NULL, cause_detected text NOT NULL, cause_ranked jsonb NOT NULL DEFAULT '[]',
  identified_cause text, identified_at timestamptz, identified_by text,
  state text NOT NULL CHECK (state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'CLOSED', 'REOPENED',
    'DISMISSED', 'FALSE_POSITIVE', 'MERGED', 'CLOSED_WITH_PARENT')),
  severity int2 NOT NULL CHECK (severity BETWEEN 1 AND 4),
  rule_no int2 NOT NULL, rule text NOT NULL, rule_version text NOT NULL DEFAULT '',
  condition_start timestamptz NOT NULL, detected_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
  cleared_at timestamptz, date_fixed timestamptz, closed_at timestamptz,
  parent_issue_id text REFERENCES meter_issue, suppressed bool NOT NULL DEFAULT false,
  snoozed_until timestamptz, assignee text, acknowledged_at timestamptz, acknowledged_by text,
  evidence jsonb NOT NULL DEFAULT '{}');
CREATE UNIQUE INDEX meter_issue_one_open ON meter_issue (subject_kind, subject_id, family)
  WHERE state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED');
CREATE INDEX meter_issue_subject ON meter_issue (subject_kind, subject_id);
CREATE INDEX meter_issue_parent ON meter_issue (parent_issue_id);
CREATE INDEX meter_issue_state ON meter_issue (state, severity, condition_start);

CREATE TABLE meter_issue_log (                     -- every transition and comment, hash-chained, never changed
  issue_id text NOT NULL REFERENCES meter_issue, seq int4 NOT NULL,
  kind text NOT NULL CHECK (kind IN ('transition', 'overlay', 'comment', 'evidence')),
  from_state text, to_state text, at timestamptz NOT NULL, log_seq int8,
  actor_kind text NOT NULL CHECK (actor_kind IN ('engine', 'user', 'system')), actor text NOT NULL,
  reason text NOT NULL DEFAULT '', entry jsonb NOT NULL DEFAULT '{}', hash bytea NOT NULL,
  PRIMARY KEY (issue_id, seq));
