-- Facts of meters, places and zones that only some rules need. Zero and empty mean "not known".
CREATE TABLE premises (
  premises_id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  utility_id int4 NOT NULL REFERENCES utility, code text NOT NULL, UNIQUE (utility_id, code));

ALTER TABLE usage_point ADD premises_id int4 REFERENCES premises,
  ADD dwelling_units int4 NOT NULL DEFAULT 0 CHECK (dwelling_units >= 0);

ALTER TABLE meter ADD role text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'check',
    'zone_inlet', 'zone_outlet', 'transformer_supply', 'deduct', 'sewer')),
  ADD battery_chemistry text CHECK (battery_chemistry IN ('li_socl2', 'li_mno2', 'alkaline')),
  ADD battery_installed_at timestamptz,
  ADD battery_design_life_d int4 NOT NULL DEFAULT 0 CHECK (battery_design_life_d >= 0),
  ADD battery_capacity_mah int4 NOT NULL DEFAULT 0 CHECK (battery_capacity_mah >= 0),
  ADD contract_demand_mw int8 NOT NULL DEFAULT 0 CHECK (contract_demand_mw >= 0),
  ADD phases int2 NOT NULL DEFAULT 1 CHECK (phases BETWEEN 1 AND 3),
  ADD CHECK ((battery_chemistry IS NULL) = (battery_installed_at IS NULL));

ALTER TABLE network_zone
  ADD kind text NOT NULL DEFAULT 'district' CHECK (kind IN ('district', 'dma', 'feeder')),
  ADD mains_m int4 NOT NULL DEFAULT 0 CHECK (mains_m >= 0),
  ADD connections int4 NOT NULL DEFAULT 0 CHECK (connections >= 0),
  ADD private_pipe_m int4 NOT NULL DEFAULT 0 CHECK (private_pipe_m >= 0),
  ADD head_mm int4 NOT NULL DEFAULT 0 CHECK (head_mm >= 0);   -- mean pressure, mm of water
