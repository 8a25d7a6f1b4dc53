//! Class profiles of our own for channels of which nothing else is known. `default`: round figures,
//! not from a standard; an estimate made from one always waits for a person.

use metering::{Commodity, CustomerClass};

use super::ClassProfile;

const HOUR_S: i32 = 3_600;

/// Relative use by hour: people at home.
const HOME: [i64; 24] = [4, 3, 3, 3, 3, 4, 6, 8, 7, 6, 6, 7, 8, 7, 6, 6, 7, 9, 12, 12, 11, 9, 7, 5];
/// Relative use by hour: people at work.
const WORK: [i64; 24] =
    [3, 3, 3, 3, 3, 4, 6, 9, 12, 13, 13, 13, 12, 13, 13, 12, 11, 9, 6, 5, 4, 3, 3, 3];
/// A closed business.
const CLOSED: [i64; 24] = [1; 24];
/// Water: hardly any at night.
const WATER: [i64; 24] = [1, 1, 1, 1, 1, 3, 9, 11, 8, 6, 5, 5, 6, 5, 4, 4, 5, 7, 9, 9, 8, 6, 4, 2];

/// The profile of a class of customers, with its mean use of a day in milli-units.
pub fn built_in(commodity: Commodity, class: CustomerClass) -> ClassProfile {
    let at_home = matches!(class, CustomerClass::Residential | CustomerClass::MultiDwelling);
    let (weekday, weekend) = match commodity {
        Commodity::Water if at_home => (WATER, WATER),
        _ if at_home => (HOME, HOME),
        _ => (WORK, CLOSED),
    };
    ClassProfile {
        id: format!("{commodity}-{class}"),
        slot_s: HOUR_S,
        weekday: weekday.to_vec(),
        saturday: weekend.to_vec(),
        sunday: weekend.to_vec(),
        daily: daily(commodity, class),
    }
}

/// Wh, L or mL at metering conditions of a day, times 1,000.
const fn daily(commodity: Commodity, class: CustomerClass) -> i64 {
    let home = match commodity {
        Commodity::Electricity => 9_000_000,
        Commodity::Water => 350_000,
        Commodity::Gas => 3_000_000,
        Commodity::Heat => 30_000_000,
    };
    match class {
        CustomerClass::Residential => home,
        CustomerClass::SmallCommercial => home * 4,
        CustomerClass::MultiDwelling | CustomerClass::Municipal => home * 10,
        CustomerClass::LargeCommercial => home * 80,
    }
}
