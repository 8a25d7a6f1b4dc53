-- The order in which letters came, also those of one instant: they are told again in this order, so that a
-- counter moves on from read to read. The upper bits count batches, the lower 20 letters of a batch.
CREATE SEQUENCE dead_letter_batch;
ALTER TABLE dead_letter ADD COLUMN arrival_no int8;
UPDATE dead_letter d SET arrival_no = o.nth
  FROM (SELECT sha256, adapter, row_number() OVER (ORDER BY first_seen, sha256, adapter) AS nth FROM dead_letter) o
  WHERE o.sha256 = d.sha256 AND o.adapter = d.adapter;
ALTER TABLE dead_letter ALTER COLUMN arrival_no SET NOT NULL,
  ALTER COLUMN arrival_no SET DEFAULT nextval('dead_letter_batch') << 20;   -- a letter that comes alone
SELECT setval('dead_letter_batch', (SELECT coalesce(max(arrival_no), 0) >> 20 FROM dead_letter) + 1);
