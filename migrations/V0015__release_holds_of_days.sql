-- Why a person let a bill use what a day's check held back.
ALTER TABLE day_hold ADD COLUMN released_note text NOT NULL DEFAULT '';
