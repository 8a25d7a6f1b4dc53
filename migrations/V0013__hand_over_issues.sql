-- Issues that are merged, handed to a person, or whose billing hold is released with a reason.
ALTER TABLE meter_issue
  ADD billing_hold_released_at timestamptz,
  ADD billing_hold_released_note text NOT NULL DEFAULT '';
CREATE INDEX meter_issue_merged ON meter_issue (merged_into) WHERE merged_into IS NOT NULL;
