-- Rules that hold bills change only when two people want it: who agreed beside the actor.
ALTER TABLE rule_bundle ADD COLUMN approved_by text NOT NULL DEFAULT '';
