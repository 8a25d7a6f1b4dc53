//! What a line says of a meter that only some rules need, and of its zone.

use metering::{BatteryAsset, ZoneKind};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use store::assets::{MeterFacts, MeterProvision, ZoneProvision};

use super::fields::Line;

const ZONE_COLUMNS: [&str; 5] =
    ["zone_kind", "zone_mains_m", "zone_connections", "zone_private_pipe_m", "zone_head_m"];

impl Line<'_> {
    pub(super) fn facts(&mut self) -> MeterFacts {
        let defaults = MeterFacts::default();
        MeterFacts {
            role: self.parsed("role").unwrap_or(defaults.role),
            manufacturer: self.text("manufacturer").unwrap_or_default(),
            model: self.text("model").unwrap_or_default(),
            firmware: self.text("firmware").unwrap_or_default(),
            premises: self.text("premises"),
            battery: self.battery(),
            dwelling_units: self.whole("dwelling_units", "units, for example 12").unwrap_or(0),
            contract_demand_mw: self.thousandths("contract_demand_kw", 1_000_000).unwrap_or(0),
            phases: self.phases().unwrap_or(1),
        }
    }

    fn battery(&mut self) -> Option<BatteryAsset> {
        let chemistry = self.parsed("battery_chemistry");
        let installed_at = self.instant("battery_installed_at");
        let design_life_d = self.whole("battery_life_days", "days, for example 5479").unwrap_or(0);
        let capacity_mah =
            self.whole("battery_capacity_mah", "mAh, for example 19000").unwrap_or(0);
        let told = design_life_d > 0 || capacity_mah > 0 || installed_at.is_some();
        match (chemistry, installed_at) {
            (Some(chemistry), Some(installed_at)) => {
                Some(BatteryAsset { chemistry, installed_at, design_life_d, capacity_mah })
            }
            (Some(_), None) => {
                self.fault("battery_installed_at", "is empty: write since when the cell is in");
                None
            }
            (None, _) => {
                if told && self.cell("battery_chemistry").is_none() {
                    self.fault(
                        "battery_chemistry",
                        "is empty: write li_socl2, li_mno2 or alkaline",
                    );
                }
                None
            }
        }
    }

    fn phases(&mut self) -> Option<u8> {
        self.read("phases", |cell| match cell {
            "1" => Ok(1),
            "2" => Ok(2),
            "3" => Ok(3),
            _ => Err(format!("`{cell}`: write 1, 2 or 3")),
        })
    }

    /// What the line says of the meter's zone; `None` when it says nothing.
    pub(super) fn zone(&mut self, meter: &MeterProvision) -> Option<ZoneProvision> {
        let told = ZONE_COLUMNS.into_iter().find(|column| self.cell(column).is_some())?;
        let Some(code) = meter.zone.clone() else {
            self.fault(told, "needs a zone: write its code");
            return None;
        };
        Some(ZoneProvision {
            code,
            name: String::new(),
            utility: meter.utility.clone(),
            kind: self.parsed("zone_kind").unwrap_or(ZoneKind::District),
            mains_m: self.whole("zone_mains_m", "metres, for example 12000").unwrap_or(0),
            connections: self.whole("zone_connections", "connections").unwrap_or(0),
            private_pipe_m: self.whole("zone_private_pipe_m", "metres").unwrap_or(0),
            head_mm: self
                .thousandths("zone_head_m", 1_000)
                .and_then(|mm| i32::try_from(mm).ok())
                .unwrap_or(0),
        })
    }

    /// A whole number from 0 on.
    fn whole(&mut self, column: &'static str, what: &str) -> Option<i32> {
        self.read(column, |cell| match cell.parse::<i32>() {
            Ok(number) if number >= 0 => Ok(number),
            _ => Err(format!("`{cell}`: write whole {what}")),
        })
    }

    /// A decimal from 0 on, in `factor`ths.
    fn thousandths(&mut self, column: &'static str, factor: i64) -> Option<i64> {
        self.read(column, |cell| {
            let refused = || format!("`{cell}`: write a decimal from 0 on, for example 45.5");
            let value: Decimal = cell.parse().map_err(|_| refused())?;
            let scaled = value.checked_mul(Decimal::from(factor)).ok_or_else(refused)?;
            let whole = scaled.fract().is_zero() && !scaled.is_sign_negative();
            scaled.to_i64().filter(|_| whole).ok_or_else(refused)
        })
    }
}

/// `number / factor` as a decimal without trailing zeros.
pub(super) fn in_units(number: i64, factor: i64) -> String {
    (Decimal::from(number) / Decimal::from(factor)).normalize().to_string()
}
