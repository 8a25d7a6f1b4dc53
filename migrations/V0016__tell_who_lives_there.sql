-- When the last customer left the usage point, and since when the present one is there. NULL: not
-- known. Nobody was there from the one to the other.
ALTER TABLE usage_point ADD inactive_since timestamptz, ADD occupied_since timestamptz;
