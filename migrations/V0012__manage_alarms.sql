-- Alert management (metering-rules 3): issues notified together, what was announced, what is shelved.
CREATE TABLE incident (
  incident_id text PRIMARY KEY, route text NOT NULL,        -- class and parent, zone, or class alone
  severity int2 NOT NULL CHECK (severity BETWEEN 1 AND 4),
  opened_at timestamptz NOT NULL, closed_at timestamptz, alerts int4 NOT NULL DEFAULT 0,
  summary text NOT NULL DEFAULT '');
CREATE INDEX incident_opened ON incident (opened_at);
CREATE TABLE incident_alert (
  incident_id text NOT NULL REFERENCES incident, alert_id text NOT NULL, PRIMARY KEY (incident_id, alert_id));
CREATE TABLE annunciation (                         -- each time a person was to be told
  annunciation_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,                         -- same log, same keys
  at timestamptz NOT NULL, incident_id text, alert_id text, kind text NOT NULL,
  severity int2 NOT NULL CHECK (severity BETWEEN 1 AND 4), step int2 NOT NULL DEFAULT 0,
  rule_no int2 NOT NULL DEFAULT 0, in_flood bool NOT NULL DEFAULT false, text text NOT NULL DEFAULT '');
CREATE INDEX annunciation_at ON annunciation (at);
CREATE TABLE shelve (                               -- silence with an end; never without one
  shelve_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rule_no int2, subject_kind text, subject_id int4, severity int2,
  from_at timestamptz NOT NULL, until_at timestamptz NOT NULL, actor text NOT NULL, reason text NOT NULL,
  kind text NOT NULL DEFAULT 'shelved' CHECK (kind IN ('shelved', 'out_of_service')),
  ended_at timestamptz, ended_by text,
  CHECK (from_at < until_at), CHECK (rule_no IS NOT NULL OR subject_kind IS NOT NULL));
CREATE INDEX shelve_until ON shelve (until_at) WHERE ended_at IS NULL;
CREATE TABLE alarm_kpi (                            -- one row per 10 minutes of log time
  at timestamptz PRIMARY KEY, raised int4 NOT NULL, annunciated int4 NOT NULL, flood bool NOT NULL,
  chattering int4 NOT NULL, stale int4 NOT NULL, bad_actor_permille int4 NOT NULL,
  facts jsonb NOT NULL DEFAULT '{}');
