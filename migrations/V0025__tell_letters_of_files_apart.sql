-- How a file was read beyond what its bytes say, so that records which wait for their meter are read
-- so too; what it says of itself; and what a reader on foot wrote down.
ALTER TABLE imported_file
  ADD COLUMN zone text NOT NULL DEFAULT '',         -- of times that name none; empty: not needed, or not known
  ADD COLUMN id_column text NOT NULL DEFAULT '',    -- BEACON: the column that names the meter
  ADD COLUMN said_at timestamptz,                   -- when it was made, by its own word; NULL: it does not say
  ADD COLUMN skipped int8 NOT NULL DEFAULT 0;       -- lines of meters that were not read

CREATE TABLE imported_note (
  import_no int8 NOT NULL REFERENCES imported_file ON DELETE CASCADE, line int8 NOT NULL,
  source_id text NOT NULL, noted_at timestamptz NOT NULL,
  skipped bool NOT NULL,                            -- the meter was not read
  note text NOT NULL, PRIMARY KEY (import_no, line));

-- A letter of a file is one record, whatever the file's name: the newest import that told of it counts.
ALTER TABLE dead_letter ADD COLUMN import_no int8 REFERENCES imported_file ON DELETE SET NULL;
CREATE INDEX dead_letter_import ON dead_letter (import_no) WHERE import_no IS NOT NULL;

-- Letters of before: `file/KIND;zone=America:Denver;column=Meter_SN/NAME`, written just before the import began.
UPDATE dead_letter d SET import_no = (
    SELECT f.import_no FROM imported_file f
    WHERE f.name = regexp_replace(d.topic, '^file/[^/]*/', '') AND f.received_at >= d.last_seen
    ORDER BY f.received_at, f.import_no LIMIT 1)
  WHERE d.adapter = 'file';
UPDATE imported_file f SET
    zone = replace(coalesce(substring(d.topic FROM '^file/[^/]*;zone=([^/;]*)'), ''), ':', '/'),
    id_column = coalesce(substring(d.topic FROM '^file/[^/]*;column=([^/;]*)'), '')
  FROM dead_letter d WHERE d.import_no = f.import_no;
DELETE FROM dead_letter d USING dead_letter newer
  WHERE d.adapter = 'file' AND newer.adapter = 'file' AND d.payload = newer.payload
    AND (newer.last_seen, newer.sha256) > (d.last_seen, d.sha256);
UPDATE dead_letter SET sha256 = sha256('file\000'::bytea || payload),
    topic = regexp_replace(topic, '^file/([^/;]*)[^/]*/', 'file/\1/')
  WHERE adapter = 'file';
