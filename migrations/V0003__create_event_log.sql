-- The spine: frames appended in the transaction that stores the readings, read by rules and console.
-- The head row is locked to COMMIT, so sequences have no gaps and appear in order.
CREATE TABLE event_log_head (shard int2 PRIMARY KEY, next_seq int8 NOT NULL DEFAULT 1);
INSERT INTO event_log_head (shard) VALUES (0);
CREATE TABLE event_log (
  appended_at timestamptz NOT NULL,                -- log time
  seq int8 NOT NULL,                               -- of the first record in the frame
  appended_on date NOT NULL, shard int2 NOT NULL, kind int2 NOT NULL, n int4 NOT NULL, frame bytea NOT NULL,
  PRIMARY KEY (shard, seq, appended_on)
) PARTITION BY RANGE (appended_on);
CREATE TABLE event_log_offset (
  consumer text, shard int2, seq int8 NOT NULL, epoch int8 NOT NULL, PRIMARY KEY (consumer, shard));
CREATE TABLE rule_snapshot (
  consumer text NOT NULL, shard int2 NOT NULL, seq int8 NOT NULL, taken_at timestamptz NOT NULL, state bytea NOT NULL,
  PRIMARY KEY (consumer, shard, seq));
