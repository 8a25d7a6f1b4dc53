-- These rows are updated with every batch. Room on their page lets PostgreSQL update them in place
-- (HOT), without touching the key and with little to vacuum.
ALTER TABLE channel_state SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE meter_state SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE collector_hearing SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE event_log_head SET (fillfactor = 10);
