-- Payloads that operators described themselves: every version of a description that was ever taken
-- live, and when it ended. The newest row of a name says whether it holds.
CREATE TABLE payload_mapping (
  mapping_no int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL, version int4 NOT NULL CHECK (version > 0),
  act text NOT NULL CHECK (act IN ('apply', 'end')),
  filter text NOT NULL,                             -- MQTT topic filter
  text text NOT NULL,                               -- TOML, as the operator wrote it
  actor text NOT NULL, reason text NOT NULL, applied_at timestamptz NOT NULL,
  UNIQUE (name, version));
