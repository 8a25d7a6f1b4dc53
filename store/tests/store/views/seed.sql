-- A small utility at 2026-06-10 12:00 UTC (14:00 in Berlin): what each view has to find in it.
CREATE TABLE read_interval_test PARTITION OF read_interval
  FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE TABLE interval_exception_test PARTITION OF interval_exception
  FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE TABLE register_read_test PARTITION OF register_read
  FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE TABLE device_event_test PARTITION OF device_event
  FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE TABLE raw_message_test PARTITION OF raw_message
  FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');

INSERT INTO utility (code, name, zone) VALUES ('NM', 'Northmoor', 'Europe/Berlin');
INSERT INTO network_zone (utility_id, code, name) VALUES (1, 'N', 'North'), (1, 'S', 'South');
INSERT INTO route (utility_id, code, name) VALUES (1, 'R-7', 'Route 7');
INSERT INTO collector (utility_id, code, name, zone_id, heartbeat_s, installed_at, created_at)
VALUES (1, 'C-01', 'Water tower', 1, 300, '2026-01-01', '2026-01-01'),
       (1, 'C-02', 'Town hall', 2, 300, '2026-01-01', '2026-01-01');

-- W-001 and W-002 report, W-003 is silent, E-004 was never heard.
INSERT INTO usage_point (utility_id, code, address, account_no, commodity, class, time_zone,
  zone_id, route_id, tags, created_at)
VALUES (1, 'UP-1', '1 Mill Lane', 'A-1', 'water', 'residential', 'Europe/Berlin', 1, 1, '{hospital}', '2026-01-01'),
       (1, 'UP-2', '2 Mill Lane', 'A-2', 'water', 'residential', 'Europe/Berlin', 1, 1, '{}', '2026-01-01'),
       (1, 'UP-3', '50%_off Street', 'A-3', 'water', 'residential', 'Europe/Berlin', 2, NULL, '{}', '2026-01-01'),
       (1, 'UP-4', '4 High Street', 'A-4', 'electricity', 'small_commercial', 'Europe/Berlin', 2, NULL, '{}', '2026-01-01');
INSERT INTO meter (number, serial, commodity, battery_powered, contact_every_s,
  primary_collector_id, created_at)
VALUES ('W-001', 's1', 'water', true, 3600, 1, '2026-01-01'),
       ('W-002', 's2', 'water', true, 3600, 1, '2026-01-01'),
       ('W-003', 's3', 'water', true, 3600, 2, '2026-01-01'),
       ('E-004', 's4', 'electricity', false, 3600, NULL, '2026-01-01');
INSERT INTO installation (meter_id, usage_point_id, valid_from)
SELECT n, n, '2026-01-01' FROM generate_series(1, 4) n;
INSERT INTO meter_source (source_id, meter_id, created_at)
SELECT 'ert:1000' || n, n, '2026-01-01' FROM generate_series(1, 4) n;
INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s,
  resolution, delivery_lag_s, valid_from)
SELECT n, 1, 'consumption', CASE n WHEN 4 THEN 'energy_active_import' ELSE 'volume' END,
  'register', CASE n WHEN 4 THEN 'Wh' ELSE 'L' END, 0, 3600, 1000, 3600, '2026-06-01'
FROM generate_series(1, 4) n;
INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s,
  resolution, delivery_lag_s, valid_from)
VALUES (1, 2, 'temp', 'temperature', 'instant', 'C', 1, 0, 100, 3600, '2026-06-01');
INSERT INTO meter_state (meter_id, last_heard_at, last_event_end, battery_low, rssi_dbm, via_collector_id)
VALUES (1, '2026-06-10 11:59', '2026-06-10 11:00', false, -80, 2),
       (2, '2026-06-10 11:30', '2026-06-10 10:00', true, -101, 1),
       (3, '2026-06-08 00:00', '2026-06-08 00:00', false, NULL, 2);
INSERT INTO collector_state VALUES (1, '2026-06-10 11:58', '2026-06-10 11:59'),
  (2, '2026-06-10 06:00', '2026-06-10 06:00');
INSERT INTO collector_hearing VALUES (1, 1, '2026-06-10', 40, -80), (1, 2, '2026-06-10', 2, -101),
  (1, 1, '2026-06-09', 90, -81), (2, 1, '2026-06-10', 5, -95);

-- Hourly litres since 1 June: W-001 100 L each hour up to 11:00, W-002 10 L with a hole of three
-- slots on 10 June, W-003 until the 8th.
INSERT INTO read_interval (starts_at, received_at, value, meter_id, channel, flags)
SELECT t, t + interval '61 minutes', CASE m WHEN 1 THEN 100000 ELSE 10000 END, m, 1, 1
FROM generate_series(1, 3) m, generate_series(timestamptz '2026-06-01', '2026-06-10 10:00', '1 hour') t
WHERE (m <> 3 OR t < '2026-06-08') AND (m <> 2 OR (t < '2026-06-10 09:00'
  AND t NOT IN ('2026-06-10 03:00', '2026-06-10 04:00', '2026-06-10 05:00')));
-- One of W-001 was suspect (flag with exception) and was edited later; one has a rival value.
UPDATE read_interval SET flags = (2 | -32768)::int2, value = 9000000
WHERE meter_id = 1 AND starts_at = '2026-06-10 08:00';
INSERT INTO interval_exception VALUES
  ('2026-06-10 08:00', '2026-06-10 09:01', 9000000, 2048, 1, 1, 1, 2, 0);
UPDATE read_interval SET flags = (2 | -32768)::int2, value = 7000000
WHERE meter_id = 1 AND starts_at = '2026-06-05 08:00';
INSERT INTO interval_exception VALUES
  ('2026-06-05 08:00', '2026-06-05 09:01', 7000000, 2048, 1, 1, 1, 2, 0),
  ('2026-06-05 08:00', '2026-06-06 09:00', 90000, 0, 1, 1, 2, 6, 0);
INSERT INTO read_conflict (starts_at, received_at, value, kept_value, meter_id, channel, flags, kept_flags, source)
VALUES ('2026-06-10 09:00', '2026-06-10 11:00', 120000, 100000, 1, 1, 1, 1, 1);
INSERT INTO expected_through (meter_id, channel, through)
SELECT n, 1, '2026-06-10 11:00' FROM generate_series(1, 3) n;
INSERT INTO read_gap (starts_at, meter_id, channel, due_at)
SELECT t, 2, 1, t + interval '2 hours' FROM unnest(ARRAY['2026-06-10 03:00', '2026-06-10 04:00',
  '2026-06-10 05:00', '2026-06-10 09:00', '2026-06-10 10:00']::timestamptz[]) t;
INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, flags)
SELECT t, t, extract(epoch FROM t)::int8 / 3600, extract(epoch FROM t)::int8 / 3600 * 1000, 1, 1, 1
FROM generate_series(timestamptz '2026-06-10 00:00', '2026-06-10 10:00', '1 hour') t;
INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, flags)
VALUES ('2026-06-10 10:30', '2026-06-10 10:30', 215, 21500, 1, 2, 1);
INSERT INTO device_event (occurred_at, received_at, subject_kind, subject_id, seq, code, detail)
SELECT t, t, 'meter', 1, 0, 'leak', 'bin 3' FROM generate_series(timestamptz '2026-06-09', '2026-06-10', '4 hours') t;
INSERT INTO device_event VALUES ('2026-06-10', '2026-06-10', 'meter', 1, 1, 'from_the_future', '');
INSERT INTO raw_message SELECT t, 1, 'mqtt', 'amr/C-01', sha256(t::text::bytea), t::text::bytea
FROM generate_series(timestamptz '2026-06-10', '2026-06-10 10:00', '1 hour') t;

-- A silent collector with a folded child, a leak, a snoozed one, one in verification, a closed one.
INSERT INTO meter_issue (issue_id, subject_kind, subject_id, family, cause_detected, cause_ranked,
  state, severity, rule_no, rule, condition_start, detected_at, updated_at, closed_at,
  parent_issue_id, suppressed, snoozed_until, acknowledged_at, evidence)
VALUES
  ('i1', 'collector', 2, 'COMM', 'COLLECTOR_OUTAGE', '[]', 'DETECTED', 1, 61, 'COM-COLL', '2026-06-10 06:00',
   '2026-06-10 06:20', '2026-06-10 06:20', NULL, NULL, false, NULL, NULL, '[]'),
  ('i2', 'meter', 3, 'COMM', 'COMM_LOST', '[]', 'DETECTED', 3, 59, 'COM-STALE', '2026-06-08 00:00',
   '2026-06-10 06:30', '2026-06-10 06:30', NULL, 'i1', true, NULL, NULL, '[]'),
  ('i3', 'meter', 1, 'LEAK', 'LEAK_CUSTOMER_SIDE', '[["LEAK_CUSTOMER_SIDE", 250], ["BURST_CUSTOMER_SIDE", -80]]',
   'OPEN', 2, 38, 'WTR-CONT', '2026-06-08 02:00', '2026-06-09 02:00', '2026-06-09 03:00', NULL, NULL, false, NULL,
   '2026-06-09 03:00', '[{"key": "min_flow", "value": 100000, "unit": "mL/h", "text": "least hour"}]'),
  ('i4', 'meter', 2, 'BATTERY', 'BATTERY_LOW', '[]', 'OPEN', 3, 56, 'BAT-FLAG', '2026-06-07', '2026-06-07', '2026-06-07',
   NULL, NULL, false, '2026-06-12', '2026-06-07', '[]'),
  ('i5', 'meter', 2, 'DATA', 'HIGH_CONSUMPTION', '[]', 'FIXED_PENDING', 3, 25, 'VAR-HIGH', '2026-06-06', '2026-06-07',
   '2026-06-08', NULL, NULL, false, NULL, NULL, '[]'),
  ('i6', 'meter', 1, 'COMM', 'COMM_LOST', '[]', 'CLOSED', 3, 59, 'COM-STALE', '2026-06-02', '2026-06-03', '2026-06-04',
   '2026-06-04', NULL, false, NULL, NULL, '[]');
INSERT INTO alert (alert_id, rule_no, rule, subject_kind, subject_id, cause, family, severity,
  condition_start, raised_at, issue_id, evidence)
VALUES ('a1', 38, 'WTR-CONT', 'meter', 1, 'LEAK_CUSTOMER_SIDE', 'LEAK', 2, '2026-06-08 02:00',
  '2026-06-09 02:00', 'i3', '[]');
INSERT INTO meter_issue_log (issue_id, seq, kind, from_state, to_state, at, actor_kind, actor, reason, hash)
VALUES ('i3', 1, 'transition', NULL, 'DETECTED', '2026-06-09 02:00', 'engine', 'WTR-CONT', '', ''),
       ('i3', 2, 'transition', 'DETECTED', 'OPEN', '2026-06-09 03:00', 'user', 'anna', 'seen', '');

INSERT INTO ingest_batch (committed_at, adapter, messages, offered, folded, inserted, duplicate,
  conflicting, dead, derived, events)
VALUES ('2026-06-09 12:00', 'mqtt', 10, 100, 0, 100, 0, 0, 0, 0, 0),
       ('2026-06-10 11:00:30', 'mqtt', 10, 50, 2, 40, 5, 1, 2, 7, 3),
       ('2026-06-10 11:01:10', 'mqtt', 1, 5, 0, 5, 0, 0, 0, 0, 0);
INSERT INTO dead_letter (sha256, adapter, topic, payload, reason, detail, source_id, first_seen, last_seen, count, reads)
SELECT sha256(n::text::bytea), 'mqtt', 'amr/x', n::text::bytea,
  CASE WHEN n <= 2 THEN 'unknown_device' ELSE 'not_json' END, '', CASE WHEN n <= 2 THEN 'ert:9' END,
  '2026-06-10', timestamptz '2026-06-10' + n * interval '1 minute', n, 3
FROM generate_series(1, 5) n;
INSERT INTO commissioning (source_id, adapter, collector, first_seen, last_seen, messages, last_topic, last_payload, fields)
VALUES ('ert:9', 'mqtt', 'C-01', '2026-06-10', '2026-06-10 11:00', 2, 'amr/x', '{"a":1}', '["consumption"]');
INSERT INTO event_log_offset VALUES ('rules', 0, 0, 1);
