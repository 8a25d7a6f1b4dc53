-- The asset model: who is metered, by what, since when, and through which collector it is heard.
-- Small reference tables with ordinary foreign keys; no hot table refers to them.
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE utility (
  utility_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE, name text NOT NULL, zone text NOT NULL);

CREATE TABLE network_zone (                       -- district, DMA or feeder
  zone_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility, code text NOT NULL, name text NOT NULL,
  UNIQUE (utility_id, code));

CREATE TABLE route (
  route_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility, code text NOT NULL, name text NOT NULL,
  UNIQUE (utility_id, code));

CREATE TABLE transformer (
  transformer_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility, code text NOT NULL, zone_id int4 REFERENCES network_zone,
  UNIQUE (utility_id, code));

CREATE TABLE collector (
  collector_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility,
  code text NOT NULL UNIQUE,                       -- C-04, also its name on the wire
  name text NOT NULL DEFAULT '', zone_id int4 REFERENCES network_zone,
  heartbeat_s int4 NOT NULL DEFAULT 0 CHECK (heartbeat_s >= 0),
  installed_at timestamptz NOT NULL, created_at timestamptz NOT NULL);

CREATE TABLE usage_point (
  usage_point_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility,
  code text NOT NULL UNIQUE, address text NOT NULL DEFAULT '', account_no text NOT NULL DEFAULT '',
  commodity text NOT NULL CHECK (commodity IN ('electricity', 'water', 'gas', 'heat')),
  class text NOT NULL CHECK (class IN ('residential', 'small_commercial', 'large_commercial', 'multi_dwelling', 'municipal')),
  time_zone text NOT NULL,                         -- IANA name
  zone_id int4 REFERENCES network_zone, route_id int4 REFERENCES route, transformer_id int4 REFERENCES transformer,
  account_active bool NOT NULL DEFAULT true,
  tags text[] NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL);

CREATE TABLE meter (
  meter_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  number text NOT NULL UNIQUE, serial text NOT NULL DEFAULT '',
  commodity text NOT NULL CHECK (commodity IN ('electricity', 'water', 'gas', 'heat')),
  manufacturer text NOT NULL DEFAULT '', model text NOT NULL DEFAULT '', firmware text NOT NULL DEFAULT '',
  battery_powered bool NOT NULL DEFAULT false,
  flow_rated_lph int4 NOT NULL DEFAULT 0 CHECK (flow_rated_lph >= 0),   -- water Q3, gas Qmax; 0 unknown
  contact_every_s int4 NOT NULL CHECK (contact_every_s > 0),
  primary_collector_id int4 REFERENCES collector,
  created_at timestamptz NOT NULL);

CREATE TABLE installation (                        -- which meter stood where; history, no overlap
  installation_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_id int4 NOT NULL REFERENCES meter, usage_point_id int4 NOT NULL REFERENCES usage_point,
  valid_from timestamptz NOT NULL, valid_to timestamptz NOT NULL DEFAULT 'infinity',
  CHECK (valid_from < valid_to),
  EXCLUDE USING gist (meter_id WITH =, tstzrange(valid_from, valid_to) WITH &&));
CREATE INDEX installation_usage_point ON installation (usage_point_id);

CREATE TABLE meter_source (                        -- what the device calls itself on the wire
  source_id text PRIMARY KEY, meter_id int4 NOT NULL REFERENCES meter, created_at timestamptz NOT NULL);
CREATE INDEX meter_source_meter ON meter_source (meter_id);

CREATE TABLE meter_channel (
  meter_id int4 NOT NULL REFERENCES meter, channel int2 NOT NULL CHECK (channel > 0),
  field text NOT NULL,                             -- the name of the value in the sender's message
  reading_type text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('interval', 'register', 'instant')),
  unit text NOT NULL,                              -- of one count of the sender's value
  multiplier numeric(20,8) NOT NULL DEFAULT 1 CHECK (multiplier > 0),
  decimals int2 NOT NULL CHECK (decimals BETWEEN 0 AND 9),   -- raw counter = value * 10^decimals
  modulus int8 NOT NULL DEFAULT 0 CHECK (modulus >= 0),      -- raw counter rolls over at; 0 = never
  len_s int4 NOT NULL CHECK (len_s >= 0 AND (len_s = 0 OR 86400 % len_s = 0)),
  resolution int8 NOT NULL CHECK (resolution > 0),           -- milli-units per step
  cap_per_hour int8 NOT NULL DEFAULT 0 CHECK (cap_per_hour >= 0),
  delivery_lag_s int4 NOT NULL CHECK (delivery_lag_s > 0),
  valid_from timestamptz NOT NULL, valid_to timestamptz NOT NULL DEFAULT 'infinity',
  PRIMARY KEY (meter_id, channel), CHECK (valid_from < valid_to));

-- Last known counter of a register channel: what the next difference starts from. Written with the reads.
CREATE TABLE channel_state (
  meter_id int4 NOT NULL, channel int2 NOT NULL,
  read_at timestamptz NOT NULL, raw int8 NOT NULL, total int8 NOT NULL,      -- total: unrolled, milli-units
  boundary_at timestamptz, boundary_total int8,                             -- counter at the last grid point
  recent jsonb NOT NULL DEFAULT '[]',                                       -- last telegrams, to know repeats
  PRIMARY KEY (meter_id, channel));

-- Counts changes of the asset model, so that a running ingest knows when to load it again.
CREATE TABLE asset_version (one bool PRIMARY KEY DEFAULT true CHECK (one), version int8 NOT NULL);
INSERT INTO asset_version (version) VALUES (1);
