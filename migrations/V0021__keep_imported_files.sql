-- Files of readings that were imported: each by the hash of its bytes, with what became of it.
CREATE TABLE imported_file (
  import_no int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  name text NOT NULL, format text NOT NULL, layout text NOT NULL DEFAULT '',
  size int8 NOT NULL, by_record bool NOT NULL,
  made_at timestamptz NOT NULL,                     -- by its own word, else its arrival: its place among files
  received_at timestamptz NOT NULL, finished_at timestamptz,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'refused')),
  records int8 NOT NULL DEFAULT 0, refused int8 NOT NULL DEFAULT 0,
  offered int8 NOT NULL DEFAULT 0, inserted int8 NOT NULL DEFAULT 0, duplicate int8 NOT NULL DEFAULT 0,
  conflicting int8 NOT NULL DEFAULT 0, dead int8 NOT NULL DEFAULT 0,
  replaced int8 NOT NULL DEFAULT 0,                 -- values that took the place of others
  actor text NOT NULL, detail text NOT NULL DEFAULT '');
CREATE INDEX imported_file_content ON imported_file (sha256);
CREATE INDEX imported_file_name ON imported_file (name, import_no);

-- Lines of a file that were refused, the first ones of each file.
CREATE TABLE imported_fault (
  import_no int8 NOT NULL REFERENCES imported_file ON DELETE CASCADE, seq int4 NOT NULL,
  line int8 NOT NULL, reason text NOT NULL, detail text NOT NULL, raw text NOT NULL,
  PRIMARY KEY (import_no, seq));

-- Which stretch of which channel a file told of: a slot belongs to the newest file that covers it.
CREATE TABLE imported_span (
  meter_id int4 NOT NULL, channel int2 NOT NULL, from_at timestamptz NOT NULL, to_at timestamptz NOT NULL,
  made_at timestamptz NOT NULL, import_no int8 NOT NULL REFERENCES imported_file ON DELETE CASCADE,
  PRIMARY KEY (meter_id, channel, from_at, import_no), CHECK (from_at < to_at));

-- What the sender said of its values, where it did not say actual (metering-rules 6.3): values that
-- end in (from_at, to_at].
CREATE TABLE sender_quality (
  meter_id int4 NOT NULL, channel int2 NOT NULL, from_at timestamptz NOT NULL, to_at timestamptz NOT NULL,
  import_no int8 NOT NULL REFERENCES imported_file ON DELETE CASCADE,
  quality text NOT NULL CHECK (quality IN
    ('actual', 'estimated', 'substituted', 'final_substituted', 'missing', 'suspect')),
  code text NOT NULL DEFAULT '', reason int4, reason_text text NOT NULL DEFAULT '',
  PRIMARY KEY (meter_id, channel, from_at, import_no));
