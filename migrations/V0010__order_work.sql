-- Visits to the field. One order may serve many issues, one issue may need many orders.
CREATE TABLE work_order (
  number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ext_system text NOT NULL DEFAULT '', ext_id text NOT NULL DEFAULT '',
  subject_kind text NOT NULL CHECK (subject_kind IN ('meter', 'collector', 'headend', 'transformer', 'zone')),
  subject_id int4 NOT NULL,
  kind text NOT NULL CHECK (kind IN ('inspection', 'exchange', 'removal', 'battery_replacement',
    'module_replacement', 'repair', 'reprogramming', 'driveby_read')),
  status text NOT NULL CHECK (status IN ('created', 'assigned', 'completed', 'cancelled')),
  severity int2 NOT NULL CHECK (severity BETWEEN 1 AND 4),
  action text NOT NULL DEFAULT '', parts text NOT NULL DEFAULT '', safety text NOT NULL DEFAULT '',
  at timestamptz NOT NULL,                          -- planned while open, done when completed
  created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, completed_at timestamptz,
  created_by text NOT NULL, assignee text,
  findings_cause text, findings_note text NOT NULL DEFAULT '', fix_action text,
  old_serial text, new_serial text, final_raw int8, initial_raw int8);
CREATE UNIQUE INDEX work_order_ext ON work_order (ext_system, ext_id) WHERE ext_id <> '';
CREATE INDEX work_order_subject ON work_order (subject_kind, subject_id);
CREATE INDEX work_order_open ON work_order (status, at);
CREATE TABLE work_order_issue (
  number int8 NOT NULL REFERENCES work_order, issue_id text NOT NULL REFERENCES meter_issue,
  PRIMARY KEY (number, issue_id));
CREATE INDEX work_order_issue_issue ON work_order_issue (issue_id);
CREATE TABLE work_order_status (                    -- what was told, once each
  number int8 NOT NULL REFERENCES work_order, status text NOT NULL, at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL, actor text NOT NULL, note text NOT NULL DEFAULT '',
  PRIMARY KEY (number, status, at));
