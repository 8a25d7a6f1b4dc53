//! Instants and days as PostgreSQL has them: microseconds and days since 2000-01-01 (UTC).

use std::error::Error;

use bytes::{BufMut, BytesMut};
use metering::UtcTime;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_2000_US: i64 = 946_684_800_000_000;
/// Days from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_2000_DAYS: i64 = 10_957;

/// A `timestamptz`. `infinity` is read as [`UtcTime::MAX`], `-infinity` as [`UtcTime::MIN`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamp(pub UtcTime);

/// A `date`, as the number of days since 1970-01-01 (the number of a UTC day).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i64);

/// 4714-11-24 BC: PostgreSQL refuses what is before, finite as it may be.
const FIRST_WIRE: i64 = -211_813_488_000_000_000;

/// The wire value of an instant. [`UtcTime::MAX`] and later become `infinity`, what lies before the
/// first instant of the database `-infinity`.
pub(crate) const fn stamp_to_wire(at: UtcTime) -> i64 {
    if at.micros() >= UtcTime::MAX.micros() {
        i64::MAX
    } else if at.micros() < FIRST_WIRE + EPOCH_2000_US {
        i64::MIN
    } else {
        at.micros().saturating_sub(EPOCH_2000_US)
    }
}

const fn stamp_from_wire(wire: i64) -> UtcTime {
    match wire {
        i64::MAX => UtcTime::MAX,
        i64::MIN => UtcTime::MIN,
        micros => UtcTime::from_micros(micros.saturating_add(EPOCH_2000_US)),
    }
}

impl ToSql for Stamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(stamp_to_wire(self.0));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Stamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(stamp_from_wire(i64::from_be_bytes(raw.try_into()?))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::try_from(self.0 - EPOCH_2000_DAYS)?);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Day {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i64::from(i32::from_be_bytes(raw.try_into()?)) + EPOCH_2000_DAYS))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_any_year_survive_the_wire() {
        for text in ["1111-11-11T11:11:11Z", "1999-12-31T23:59:59.999999Z", "2099-01-01T00:00:00Z"]
        {
            let at = UtcTime::parse_rfc3339(text).unwrap();
            assert_eq!(stamp_from_wire(stamp_to_wire(at)), at);
        }
        assert_eq!(stamp_from_wire(stamp_to_wire(UtcTime::MAX)), UtcTime::MAX);
        // What PostgreSQL cannot hold is before everything that it can.
        let before = UtcTime::MIN.plus_seconds(3_600);
        assert_eq!(stamp_to_wire(before), i64::MIN);
        assert_eq!(stamp_from_wire(stamp_to_wire(UtcTime::MIN)), UtcTime::MIN);
        let first = UtcTime::from_micros(FIRST_WIRE + EPOCH_2000_US);
        assert_eq!(stamp_from_wire(stamp_to_wire(first)), first);
    }
}
