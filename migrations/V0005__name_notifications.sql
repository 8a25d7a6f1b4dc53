-- One channel wakes the console and the rules: NOTIFY headend_log, 'shard:seq', sent by the writer at COMMIT;
-- NOTIFY headend_issue, 'number' by the issue job; NOTIFY headend_assets by provisioning. Nothing is created here
-- but the sequence that numbers console events, so that a browser can resume by Last-Event-ID.
CREATE SEQUENCE console_event_seq;
CREATE TABLE console_event (
  event_id int8 PRIMARY KEY DEFAULT nextval('console_event_seq'), at timestamptz NOT NULL,
  topic text NOT NULL, key text NOT NULL);
CREATE INDEX console_event_at ON console_event (at);
