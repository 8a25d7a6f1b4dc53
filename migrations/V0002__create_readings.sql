-- Readings: hot interval rows by UTC day, registers and events by month. Partitions are made for any date.
-- Rows are written once. No foreign key: the writer resolves meters, `audit` counts orphans.
CREATE TABLE read_interval (
  starts_at timestamptz NOT NULL, received_at timestamptz NOT NULL,
  value int8 NOT NULL CHECK (value BETWEEN -4611686018427387903 AND 4611686018427387903),
  meter_id int4 NOT NULL, channel int2 NOT NULL CHECK (channel > 0), flags int2 NOT NULL,
  PRIMARY KEY (meter_id, channel, starts_at)
) PARTITION BY RANGE (starts_at);

CREATE TABLE read_conflict (                       -- a later value for a key that is already stored
  starts_at timestamptz NOT NULL, received_at timestamptz NOT NULL, value int8 NOT NULL, kept_value int8 NOT NULL,
  meter_id int4 NOT NULL, channel int2 NOT NULL, flags int2 NOT NULL, kept_flags int2 NOT NULL, source int2 NOT NULL,
  outcome int2 NOT NULL DEFAULT 0 CHECK (outcome BETWEEN 0 AND 3),   -- 0 open, 1 kept stored, 2 took new, 3 operator
  decided_at timestamptz, actor int4,
  PRIMARY KEY (meter_id, channel, starts_at, value, flags));

CREATE TABLE interval_exception (                  -- versions of judged values; append-only
  starts_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL, value int8 NOT NULL,
  rule_mask int8 NOT NULL, meter_id int4 NOT NULL, channel int2 NOT NULL,
  version int2 NOT NULL CHECK (version > 0), status int2 NOT NULL CHECK (status BETWEEN 0 AND 8), flags int2 NOT NULL,
  PRIMARY KEY (meter_id, channel, starts_at, version)
) PARTITION BY RANGE (starts_at);

CREATE TABLE register_read (
  read_at timestamptz NOT NULL, received_at timestamptz NOT NULL,
  raw int8 NOT NULL,                               -- the counter in its own steps
  value int8 NOT NULL,                             -- milli-units, multiplier applied
  meter_id int4 NOT NULL, channel int2 NOT NULL CHECK (channel > 0),
  source int2 NOT NULL DEFAULT 1 CHECK (source BETWEEN 1 AND 4),   -- 1 scheduled, 2 on demand, 3 removal, 4 set
  flags int2 NOT NULL, rule_mask int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (meter_id, channel, read_at, source)
) PARTITION BY RANGE (read_at);

CREATE TABLE register_conflict (
  read_at timestamptz NOT NULL, received_at timestamptz NOT NULL, raw int8 NOT NULL, kept_raw int8 NOT NULL,
  meter_id int4 NOT NULL, channel int2 NOT NULL, source int2 NOT NULL,
  PRIMARY KEY (meter_id, channel, read_at, source, raw));

CREATE TABLE device_event (
  occurred_at timestamptz NOT NULL, received_at timestamptz NOT NULL,
  subject_kind text NOT NULL CHECK (subject_kind IN ('meter', 'collector', 'headend')), subject_id int4 NOT NULL,
  seq int4 NOT NULL, code text NOT NULL, detail text NOT NULL DEFAULT '' CHECK (octet_length(detail) <= 4096),
  PRIMARY KEY (subject_kind, subject_id, occurred_at, code, seq)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE raw_message (                         -- the bytes behind every reading, by arrival
  received_at timestamptz NOT NULL, meter_id int4,            -- NULL: no known meter
  adapter text NOT NULL, topic text NOT NULL, sha256 bytea NOT NULL, payload bytea NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX raw_message_meter ON raw_message (meter_id, received_at);

CREATE TABLE dead_letter (
  sha256 bytea NOT NULL, adapter text NOT NULL, topic text NOT NULL, payload bytea NOT NULL,
  reason text NOT NULL, detail text NOT NULL DEFAULT '', source_id text,
  first_seen timestamptz NOT NULL, last_seen timestamptz NOT NULL, count int8 NOT NULL DEFAULT 1 CHECK (count > 0),
  reads int8 NOT NULL DEFAULT 1,                    -- readings that one copy offered
  replayed_at timestamptz,
  PRIMARY KEY (sha256, adapter));
CREATE INDEX dead_letter_source ON dead_letter (source_id) WHERE source_id IS NOT NULL;

CREATE TABLE commissioning (                       -- devices heard that nobody has provisioned
  source_id text PRIMARY KEY, adapter text NOT NULL, collector text,
  first_seen timestamptz NOT NULL, last_seen timestamptz NOT NULL, messages int8 NOT NULL DEFAULT 1,
  last_topic text NOT NULL, last_payload bytea NOT NULL, fields jsonb NOT NULL DEFAULT '[]',
  ignored bool NOT NULL DEFAULT false);

CREATE TABLE ingest_batch (
  batch_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, committed_at timestamptz NOT NULL, adapter text NOT NULL,
  messages int4 NOT NULL, offered int4 NOT NULL, folded int4 NOT NULL, inserted int4 NOT NULL, duplicate int4 NOT NULL,
  conflicting int4 NOT NULL, dead int4 NOT NULL, derived int4 NOT NULL, events int4 NOT NULL,
  first_seq int8, last_seq int8,
  CHECK (offered = folded + inserted + duplicate + conflicting + dead));
CREATE INDEX ingest_batch_committed ON ingest_batch USING brin (committed_at) WITH (pages_per_range = 16);

-- What is shown beside a meter: when it was last heard. Kept by the presence job; no promise depends on it.
CREATE TABLE meter_state (
  meter_id int4 PRIMARY KEY, last_heard_at timestamptz NOT NULL, last_event_end timestamptz,
  battery_low bool NOT NULL DEFAULT false, battery_mv int4, rssi_dbm int2, via_collector_id int4);
CREATE TABLE collector_state (
  collector_id int4 PRIMARY KEY, last_heartbeat_at timestamptz, last_heard_at timestamptz);
CREATE TABLE collector_hearing (
  collector_id int4 NOT NULL, meter_id int4 NOT NULL, day date NOT NULL, heard int4 NOT NULL, rssi_dbm int2,
  PRIMARY KEY (collector_id, meter_id, day));

CREATE TABLE read_gap (                            -- a slot that was due and had not arrived
  starts_at timestamptz NOT NULL, meter_id int4 NOT NULL, channel int2 NOT NULL,
  due_at timestamptz NOT NULL, filled_at timestamptz,
  PRIMARY KEY (meter_id, channel, starts_at));
CREATE INDEX read_gap_open ON read_gap (starts_at) WHERE filled_at IS NULL;
CREATE TABLE expected_through (                    -- up to where the calendar was checked, by channel
  meter_id int4 NOT NULL, channel int2 NOT NULL, through timestamptz NOT NULL, PRIMARY KEY (meter_id, channel));
