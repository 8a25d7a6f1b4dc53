//! Channels and series for the tests of estimation.

use std::collections::BTreeSet;

use metering::{
    ChannelAsset, ChannelKind, ChannelNo, Commodity, LocalCalendar, QualityStatus, ReadingType,
    UtcTime,
};
use vee::estimate::{ChannelFacts, Gap, GapInput, Series, Slot};

pub(crate) fn utc(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

/// A quarter-hour electricity channel in Berlin, step 1 Wh.
pub(crate) fn facts() -> ChannelFacts {
    ChannelFacts {
        channel: ChannelAsset {
            channel: ChannelNo::new(1),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind: ChannelKind::Interval,
            len_s: 900,
            resolution: 1000,
            cap_per_hour: 0,
            delivery_lag_s: 0,
        },
        commodity: Commodity::Electricity,
        calendar: LocalCalendar::new("Europe/Berlin").unwrap(),
        holidays: BTreeSet::new(),
        net: false,
    }
}

/// A household in whole Wh: a course by local hour, more at weekends, and some noise.
pub(crate) fn household(facts: &ChannelFacts, from: UtcTime, days: i64, seed: u64) -> Vec<Slot> {
    let len = i64::from(facts.len_s());
    let to = from.plus_seconds(days * 86_400);
    let noise = |k: i64| {
        let mut x = seed ^ k.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        i64::try_from((x >> 33) % 41).unwrap() - 20
    };
    Gap::new(from, to)
        .ends(facts.len_s())
        .map(|end| {
            let start = end.plus_seconds(-len);
            let hour = i64::from(facts.calendar.hour_of(start));
            let date = facts.calendar.date_of(start);
            let weekend = i64::from(date.weekday().to_monday_one_offset()) > 5;
            let base = match hour {
                0..=5 => 40,
                6..=8 => 160,
                9..=16 => 90,
                17..=21 => 280,
                _ => 110,
            };
            let wh =
                (base + if weekend { 60 } else { 0 }) * (100 + noise(end.seconds() / len)) / 100;
            Slot::new(end, wh * 1000, QualityStatus::Validated)
        })
        .collect()
}

/// The series without what lies in the gaps, and what lay there.
pub(crate) fn hidden(
    facts: &ChannelFacts,
    slots: &[Slot],
    gaps: &[Gap],
) -> (Series, Vec<Vec<i64>>) {
    let holds = |slot: &&Slot| gaps.iter().any(|gap| gap.holds(slot.end));
    let kept = slots.iter().filter(|slot| !holds(slot)).copied().collect();
    let lost = gaps
        .iter()
        .map(|gap| slots.iter().filter(|slot| gap.holds(slot.end)).map(|slot| slot.value).collect())
        .collect();
    (Series::new(facts.len_s(), kept), lost)
}

pub(crate) fn input<'a>(
    facts: &'a ChannelFacts,
    series: &'a Series,
    gaps: &'a [Gap],
) -> GapInput<'a> {
    GapInput {
        facts,
        series,
        gaps,
        registers: None,
        rates: None,
        outages: &[],
        profile: None,
        check: None,
        method: None,
    }
}
