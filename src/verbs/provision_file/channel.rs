//! What a line says of a channel.

use metering::{ChannelKind, Commodity, Exact, Quantity, Ratio, ReadingType, Unit};
use rust_decimal::Decimal;
use store::assets::ChannelProvision;

use super::fields::Line;

const DAY_S: i32 = 86_400;
const LAG_DEFAULT_S: i32 = 6 * 3_600;

impl Line<'_> {
    /// `None` when a required cell could not be read, which was told.
    pub(super) fn channel(&mut self, commodity: Commodity) -> Option<ChannelProvision> {
        for column in ["reading_type", "unit"] {
            self.required(column);
        }
        let field = self.required("field");
        let reading_type: Option<ReadingType> = self.parsed("reading_type");
        let unit = self.unit(reading_type);
        let kind = self.kind(reading_type);
        let decimals = self.decimals(kind);
        let multiplier = self.multiplier();
        let modulus = self.modulus();
        let len_s = self.interval(kind, commodity);
        let delivery_lag_s = self.seconds("delivery_lag").unwrap_or(LAG_DEFAULT_S);
        let (reading_type, unit) = (reading_type?, unit?);
        let resolution = match self.milli("resolution", unit) {
            Some(milli) => milli.max(1),
            None => self.step(unit, multiplier, decimals),
        };
        let cap_per_hour = self.milli("cap_per_hour", unit).unwrap_or(0);
        Some(ChannelProvision {
            field,
            reading_type,
            kind,
            unit,
            multiplier,
            decimals,
            modulus,
            len_s,
            resolution,
            cap_per_hour,
            delivery_lag_s,
        })
    }

    fn unit(&mut self, reading_type: Option<ReadingType>) -> Option<Unit> {
        let unit: Unit = self.parsed("unit")?;
        if unit == Unit::Count {
            self.fault(
                "unit",
                "`count` says nothing: write the unit of one count, and a multiplier",
            );
            return None;
        }
        let Some(reading_type) = reading_type else { return Some(unit) };
        if unit.base() != reading_type.base_unit() {
            let base = reading_type.base_unit();
            self.fault(
                "unit",
                format!("{unit} does not measure {reading_type}: write {base} or its like"),
            );
            return None;
        }
        Some(unit)
    }

    fn kind(&mut self, reading_type: Option<ReadingType>) -> ChannelKind {
        let cumulative =
            reading_type.is_none_or(|reading_type| is_cumulative(reading_type.quantity));
        let default = if cumulative { ChannelKind::Register } else { ChannelKind::Instant };
        let kind = self.parsed("kind").unwrap_or(default);
        if kind == ChannelKind::Register && !cumulative {
            self.fault("kind", "a momentary quantity has no register: write instant");
        }
        kind
    }

    fn decimals(&mut self, kind: ChannelKind) -> u8 {
        if kind == ChannelKind::Register {
            self.required("decimals");
        }
        let read = |cell: &str| match cell.parse::<u8>() {
            Ok(decimals) if decimals <= 9 => Ok(decimals),
            _ => Err(format!("`{cell}`: write 0 to 9")),
        };
        self.read("decimals", read).unwrap_or(3)
    }

    fn multiplier(&mut self) -> Decimal {
        let read = |cell: &str| match Decimal::from_str_exact(cell) {
            Ok(factor) if factor > Decimal::ZERO && factor.scale() <= 8 => Ok(factor),
            _ => Err(format!(
                "`{cell}`: write a decimal above 0 with at most 8 digits after the point"
            )),
        };
        self.read("multiplier", read).unwrap_or(Decimal::ONE)
    }

    fn modulus(&mut self) -> i64 {
        let read = |cell: &str| match cell.parse::<i64>() {
            Ok(modulus) if modulus >= 0 => Ok(modulus),
            _ => Err(format!("`{cell}`: write a whole number such as 16777216, or 0")),
        };
        self.read("modulus", read).unwrap_or(0)
    }

    fn interval(&mut self, kind: ChannelKind, commodity: Commodity) -> i32 {
        let written = self.seconds("interval");
        if kind == ChannelKind::Instant {
            return 0;
        }
        let hourly = kind == ChannelKind::Register && commodity != Commodity::Electricity;
        let len_s = written.unwrap_or(if hourly { 3_600 } else { 900 });
        if len_s > DAY_S || DAY_S % len_s != 0 {
            self.fault(
                "interval",
                "a day is not a whole number of these: write for example 15m or 1h",
            );
            return 900;
        }
        len_s
    }

    /// A decimal of the unit as milli-units.
    fn milli(&mut self, column: &'static str, unit: Unit) -> Option<i64> {
        self.read(column, |cell| {
            let refuse = || format!("`{cell}`: write a decimal of {unit} such as 0.001");
            let value: Exact = cell.parse().map_err(|_| refuse())?;
            let milli = value.times(unit.milli_per_unit()).and_then(Ratio::round_half_up);
            milli.ok().filter(|milli| *milli >= 0).ok_or_else(refuse)
        })
    }

    /// Milli-units of one step of the last digit, at least 1.
    fn step(&mut self, unit: Unit, multiplier: Decimal, decimals: u8) -> i64 {
        let tenth = Ratio::from_decimal(Decimal::new(1, u32::from(decimals)));
        let factor = Ratio::from_decimal(multiplier);
        let step = unit.milli_per_unit().times(factor).and_then(|step| step.times(tenth));
        match step.and_then(Ratio::round_half_up) {
            Ok(milli) => milli.max(1),
            Err(_) => {
                self.fault("multiplier", "is too large for this unit");
                1
            }
        }
    }
}

/// A counter of it can only grow.
const fn is_cumulative(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::EnergyActive
            | Quantity::EnergyReactive
            | Quantity::EnergyThermal
            | Quantity::Volume
    )
}
