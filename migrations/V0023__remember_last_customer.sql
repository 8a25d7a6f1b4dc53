-- The last account of a usage point, for a number that is blanked between two customers; closed days
-- of which nothing waits any more; how the severity of an issue went.
ALTER TABLE usage_point ADD last_account_no text NOT NULL DEFAULT '';
UPDATE usage_point SET last_account_no = account_no;

ALTER TABLE closed_day ADD settled bool NOT NULL DEFAULT false;   -- none of its slots is suspect now
CREATE INDEX closed_day_waiting ON closed_day (starts_at) WHERE suspect > 0 AND NOT settled;

ALTER TABLE meter_issue ADD priority_history jsonb NOT NULL DEFAULT '[]';  -- [{"at", "severity"}]
COMMENT ON COLUMN meter_issue.queue IS 'Nothing writes it: there are no teams until operators can log in.';
