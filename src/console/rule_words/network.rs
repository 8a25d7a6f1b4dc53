//! Rules #47 to #67: zones, gas, batteries, communication and sewer.

use super::{RuleText, rule};

const STAFF: &str = "Staff close it.";

pub(super) const ZONE: &[RuleText] = &[
    rule(
        47,
        "DMA-MNF",
        "A zone draws too much at night",
        "Night inflow of the zone, less what its connections explain, rises or stays high for \
         three nights.",
        "Three nights below, or a repair.",
    ),
    rule(
        48,
        "DMA-BAL",
        "A zone loses water",
        "Inflow less what all meters counted is a far larger share than usual, three days in a \
         row.",
        "Three days inside.",
    ),
    rule(
        49,
        "DMA-ILI",
        "Leakage index of a zone",
        "Real losses against the unavoidable ones, each quarter. For the report, not an alert.",
        "Nothing to clear.",
    ),
];

pub(super) const GAS: &[RuleText] = &[
    rule(
        50,
        "GAS-CONT",
        "Gas flows without a pause",
        "Outside the heating season the least hour stays far above the pilot light's, for two \
         days.",
        "Two hours below, then a day that stays well.",
    ),
    rule(
        51,
        "GAS-HIGH",
        "Gas flow too high",
        "An hour above what the meter may pass, or far above its own peaks: perhaps an open pipe.",
        "Back to usual for two hours, and staff confirm.",
    ),
    rule(
        52,
        "GAS-VALVE",
        "Gas flows through a closed valve",
        "Pulses are counted after the valve was told to close.",
        STAFF,
    ),
    rule(
        53,
        "GAS-ZERO",
        "Gas meter counts nothing in the heating season",
        "Zeros for longer than ever, with a closer limit while people heat.",
        "Use within 24 h.",
    ),
    rule(
        54,
        "GAS-TILT",
        "Gas meter was tilted",
        "The meter reports a tilt outside a work order.",
        "The event ends, and staff confirm.",
    ),
    rule(
        55,
        "GAS-PRESS",
        "Gas pressure or temperature out of range",
        "The meter reports pressure or temperature outside its limits.",
        "The event ends, and staff confirm.",
    ),
];

pub(super) const BATTERY: &[RuleText] = &[
    rule(
        56,
        "BAT-FLAG",
        "Battery flag",
        "The module says low battery in several telegrams, not only in the frost.",
        "Two weeks without the flag.",
    ),
    rule(
        57,
        "BAT-VOLT",
        "Battery voltage low",
        "The voltage under load, median of five and corrected for cold, is below the limit.",
        "Above the limit for two weeks.",
    ),
    rule(
        58,
        "BAT-PROJ",
        "Battery will be empty soon",
        "Voltage trend, charge used and the maker's counter project the days that are left; the \
         least of them counts.",
        "A new battery, or the projection recovers twice.",
    ),
];

pub(super) const COMMUNICATION: &[RuleText] = &[
    rule(
        59,
        "COM-STALE",
        "Meter silent",
        "Nothing for so long that chance is no explanation, given how often this meter is missed \
         anyway.",
        "Three readings in two cadences, or one that fills the gap.",
    ),
    rule(
        60,
        "COM-MISS",
        "Too few readings get through",
        "The share that was delivered in seven days is below the limit.",
        "Well delivered for a week.",
    ),
    rule(
        61,
        "COM-COLL",
        "Collector silent",
        "Heartbeats stop, or more of its meters fall silent at once than chance allows. One issue \
         for all of them.",
        "The heartbeat is back and most meters are heard.",
    ),
    rule(
        62,
        "PWR-AREA",
        "Power is out in an area",
        "Many meters of a transformer or feeder report the loss of power within two minutes; or \
         one does and does not answer.",
        "Power or readings are back at nine of ten.",
    ),
    rule(
        63,
        "COM-CLASSIFY",
        "Why a meter is silent",
        "Weighs what is known: outages, work orders, battery, tampering, radio and firmware. The \
         runner-up is kept.",
        "As the class that it gives.",
    ),
    rule(
        64,
        "COM-BACKFILL",
        "Late readings replace estimates",
        "Readings of a stretch that was estimated have come: they supersede the estimates.",
        "Nothing to clear.",
    ),
];

pub(super) const SEWER: &[RuleText] = &[
    rule(
        65,
        "SWR-WQA",
        "Winter average needs a review",
        "A month that sets the sewer charge was estimated in part, or held a leak.",
        "The review is done.",
    ),
    rule(
        66,
        "SWR-DEDUCT",
        "Deduct meter above the main meter",
        "The meter of water that does not reach the sewer counts more than the main meter.",
        "The next cycle passes.",
    ),
    rule(
        67,
        "SWR-II",
        "Rain gets into the sewer",
        "Inflow in wet weather is several times the dry base line against the water that was used.",
        "Three dry days inside.",
    ),
];
