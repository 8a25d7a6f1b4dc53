-- A quarter-hour meter over both changes of the clock in Berlin, and a name that a spreadsheet
-- would run as a formula.
INSERT INTO usage_point (utility_id, code, address, account_no, commodity, class, time_zone, created_at)
VALUES (1, 'UP-5', '@SUM(A1)', '+49', 'electricity', 'residential', 'Europe/Berlin', '2026-01-01');
INSERT INTO meter (number, serial, commodity, contact_every_s, created_at)
VALUES ('=1+1', '', 'electricity', 3600, '2026-01-01');
INSERT INTO installation (meter_id, usage_point_id, valid_from) VALUES (5, 5, '2026-01-01');
INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s,
  resolution, delivery_lag_s, valid_from)
VALUES (5, 1, 'energy_import', 'energy_active_import', 'interval', 'Wh', 3, 900, 1, 3600, '2026-01-01');
INSERT INTO read_interval (starts_at, received_at, value, meter_id, channel, flags)
SELECT t, t, -1500, 5, 1, 1 FROM (
  SELECT generate_series(timestamptz '2026-03-27', '2026-03-31', '15 minutes') UNION ALL
  SELECT generate_series(timestamptz '2026-10-24', '2026-10-27', '15 minutes')) x(t);
