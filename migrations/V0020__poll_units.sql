-- Modbus units that operators took live in the console: every version of a unit that was ever
-- polled, and when it ended. The newest row of a source says whether it is polled.
CREATE TABLE modbus_unit (
  change_no int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,                             -- what the device is called, modbus:GATEWAY/UNIT
  act text NOT NULL CHECK (act IN ('apply', 'end')),
  gateway text NOT NULL,
  address text NOT NULL,                            -- tcp://HOST:PORT, rtutcp://HOST:PORT or /dev/...
  unit int2 NOT NULL CHECK (unit BETWEEN 1 AND 255),
  profile text NOT NULL,                            -- name of a known profile, or TOML of its own
  every_s int4 NOT NULL CHECK (every_s BETWEEN 1 AND 86400),
  actor text NOT NULL, reason text NOT NULL, applied_at timestamptz NOT NULL);
CREATE INDEX modbus_unit_source ON modbus_unit (source, change_no DESC);
