-- What a customer, a sender or a device may write, in every text that a page shows.
INSERT INTO network_zone (utility_id, code, name) VALUES (1, '''><script>alert(3)</script>', '<script>alert(3)</script>');
INSERT INTO route (utility_id, code, name) VALUES (1, '<script>alert(4)</script>', '"><script>alert(4)</script>');
INSERT INTO collector (utility_id, code, name, zone_id, heartbeat_s, installed_at, created_at)
VALUES (1, '<img src=x onerror=alert(2)>', '<script>alert(2)</script>', 3, 0, '2026-01-01', '2026-01-01');
INSERT INTO usage_point (utility_id, code, address, account_no, commodity, class, time_zone,
  zone_id, route_id, tags, created_at)
VALUES (1, '<script>alert(5)</script>', '"><script>alert(5)</script>', '''"<script>alert(5)</script>', 'water', 'residential',
  'Europe/Berlin', 3, 2, '{"<script>alert(6)</script>"}', '2026-01-01');
INSERT INTO meter (number, serial, commodity, manufacturer, model, firmware, contact_every_s, primary_collector_id, created_at)
VALUES ('<script>alert(1)</script>', '<script>alert(1)</script>', 'water', '<script>alert(1)</script>',
  '<script>alert(1)</script>', '<script>alert(1)</script>', 3600, 3, '2026-01-01');
INSERT INTO installation (meter_id, usage_point_id, valid_from) VALUES (5, 5, '2026-01-01');
INSERT INTO meter_source (source_id, meter_id, created_at) VALUES ('ami:<script>alert(1)</script>', 5, '2026-01-01');
INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s, resolution,
  delivery_lag_s, valid_from)
VALUES (5, 1, '<script>alert(7)</script>', 'volume', 'register', 'L', 0, 3600, 1000, 3600, '2026-06-01');
INSERT INTO read_interval (starts_at, received_at, value, meter_id, channel, flags)
VALUES ('2026-06-10 09:00', '2026-06-10 10:01', 5000, 5, 1, 1);
INSERT INTO device_event (occurred_at, received_at, subject_kind, subject_id, seq, code, detail)
VALUES ('2026-06-10 09:30', '2026-06-10 09:30', 'meter', 5, 0, '<script>alert(8)</script>', '</title><script>alert(8)</script>'),
       ('2026-06-10 09:30', '2026-06-10 09:30', 'collector', 3, 0, 'leak', '''"></svg><script>alert(8)</script>');
INSERT INTO raw_message VALUES ('2026-06-10 09:30', 5, 'mqtt', '<script>alert(9)</script>', '\x00', '<script>alert(9)</script>');
INSERT INTO meter_issue (issue_id, subject_kind, subject_id, family, cause_detected, cause_ranked,
  state, severity, rule_no, rule, condition_start, detected_at, updated_at, acknowledged_by, evidence)
VALUES ('i7', 'meter', 5, 'DATA', '<SCRIPT>ALERT(1)</SCRIPT>', '[["<script>alert(1)</script>", 1]]', 'DETECTED', 3, 25,
  '<script>alert(1)</script>', '2026-06-09', '2026-06-09', '2026-06-09', '<script>alert(1)</script>',
  '[{"key": "<script>alert(1)</script>", "value": 1, "unit": "<b>", "text": "<script>alert(1)</script>"}]');
INSERT INTO meter_issue_log (issue_id, seq, kind, at, actor_kind, actor, reason, hash)
VALUES ('i7', 1, 'comment', '2026-06-09', 'user', '<script>alert(1)</script>', '<script>alert(1)</script>', '');
INSERT INTO commissioning (source_id, adapter, collector, first_seen, last_seen, last_topic, last_payload, fields)
VALUES ('ert:<script>alert(1)</script>', 'mqtt', '<script>alert(1)</script>', '2026-06-10', '2026-06-10 11:00',
  '<script>alert(1)</script>', '</pre><script>alert(1)</script>', '["<script>alert(1)</script>"]');
INSERT INTO dead_letter (sha256, adapter, topic, payload, reason, detail, source_id, first_seen, last_seen)
VALUES ('\x0102', 'mqtt', '<script>alert(1)</script>', '</pre><script>alert(1)</script>', '<script>alert(1)</script>',
  '<script>alert(1)</script>', 'ert:<script>alert(1)</script>', '2026-06-10', '2026-06-10 11:30');
