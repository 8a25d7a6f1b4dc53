-- Every version of the rules that was ever made active or shadow. `log_seq` is where it took effect.
CREATE TABLE rule_bundle (
  bundle_no int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version text NOT NULL, hash text NOT NULL, text text NOT NULL,
  act text NOT NULL CHECK (act IN ('apply', 'rollback', 'shadow', 'end_shadow')),
  actor text NOT NULL, reason text NOT NULL DEFAULT '',
  applied_at timestamptz NOT NULL, log_seq int8 NOT NULL);
CREATE INDEX rule_bundle_version ON rule_bundle (version);
CREATE TABLE shadow_alert (                         -- what rules in shadow mode would have said
  alert_id text PRIMARY KEY, bundle_no int8,
  rule_no int2 NOT NULL, rule text NOT NULL, subject_kind text NOT NULL, subject_id int4 NOT NULL,
  cause text NOT NULL, severity int2 NOT NULL,
  condition_start timestamptz NOT NULL, raised_at timestamptz NOT NULL, cleared_at timestamptz,
  evidence jsonb NOT NULL DEFAULT '{}');
CREATE INDEX shadow_alert_raised ON shadow_alert (raised_at);
