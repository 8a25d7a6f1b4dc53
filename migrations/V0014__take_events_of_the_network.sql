-- Transformers and zones report events too (a breaker, a pressure sensor), not only devices.
ALTER TABLE device_event DROP CONSTRAINT device_event_subject_kind_check;
ALTER TABLE device_event ADD CONSTRAINT device_event_subject_kind_check
  CHECK (subject_kind IN ('meter', 'collector', 'headend', 'transformer', 'zone'));
