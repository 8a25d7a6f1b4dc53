-- From where on a channel's slots are expected: readings that waited for their meter lie before it was entered.
ALTER TABLE expected_through ADD begins_at timestamptz;   -- START of the first slot; NULL: when the meter was entered

-- Findings are told again by the time of their record, and are written in its order.
CREATE INDEX finding_recorded ON finding USING brin (recorded_at) WITH (pages_per_range = 16);
