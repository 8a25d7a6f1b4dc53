//! Rules #25 to #46: how a place uses, how its meter is, who was at it, and water.

use super::{RuleText, rule};

pub(super) const VARIANCE: &[RuleText] = &[
    rule(
        25,
        "VAR-HIGH",
        "Use far above its own habit",
        "The day's use stands far above the median of the same kind of day, measured in the \
         spread of those days.",
        "Two days near the usual.",
    ),
    rule(
        26,
        "VAR-LOW",
        "Use far below its own habit",
        "The day's use stands far below the median of the same kind of day, on most of four days.",
        "Two days near the usual.",
    ),
    rule(
        27,
        "VAR-BILL",
        "The next bill will be a shock",
        "Use so far and the habit of the place project a bill well above the one of a year ago, \
         in share and in money.",
        "The projection is back near the reference; one notice per cycle.",
    ),
    rule(
        28,
        "VAR-DMD",
        "Demand above a year's maximum",
        "The demand of one interval exceeds the highest of twelve months by a margin, or the \
         contract.",
        "The next cycle.",
    ),
    rule(
        29,
        "VAR-PEER",
        "Falls away from its peers",
        "Its ratio to similar places of the zone fell by half against its own past. Evidence for \
         other rules, never an alert alone.",
        "The ratio is back for a week.",
    ),
];

pub(super) const HEALTH: &[RuleText] = &[
    rule(
        30,
        "MTR-STOP",
        "Meter stopped",
        "Zeros for longer than ever, while the module answers and the place was in use: the \
         metering part has stopped. Points for and against are added up.",
        "An exchange, or three days with use.",
    ),
    rule(
        31,
        "MTR-SLOW",
        "Meter counts too little",
        "Monthly use slides against its peers over the better part of a year.",
        "An exchange.",
    ),
    rule(
        32,
        "MTR-REV",
        "Meter runs backwards",
        "The reverse register advances at a place without own generation: wires, a meter turned \
         in its socket, or panels that nobody registered.",
        "Seven days without reverse advance.",
    ),
    rule(
        33,
        "MTR-ERR",
        "Hardware error",
        "The device reports a permanent error, or the same passing error on several days of a \
         week.",
        "48 h without the error.",
    ),
    rule(
        34,
        "MTR-RESET",
        "Register began again, or was reconfigured",
        "The register starts near zero, or the device was configured, and no work order says why.",
        "A work order, or a new base line.",
    ),
    rule(
        35,
        "MTR-SWAP",
        "Another device than recorded",
        "A serial number shows at two places, or maker and number differ from the asset record.",
        "The asset record is put right.",
    ),
];

pub(super) const TAMPER: &[RuleText] = &[
    rule(
        36,
        "TMP-SCORE",
        "Signs of tampering add up",
        "Events of the device are weak evidence each; their points fade with time and are counted \
         together with a drop in use. Our own field work counts nothing.",
        "Few points left, and the inspection is closed.",
    ),
    rule(
        37,
        "TMP-XFMR",
        "Energy lost behind a transformer",
        "What the transformer delivered exceeds what its meters counted, for most of a week.",
        "Most of a week inside the limits.",
    ),
];

pub(super) const WATER: &[RuleText] = &[
    rule(
        38,
        "WTR-CONT",
        "Water flows without a pause",
        "Every interval of 24 h has flow, and the least hour is above a drip. The least hour sets \
         the severity and measures the leak.",
        "One hour without flow, then a day that stays well.",
    ),
    rule(
        39,
        "WTR-INT",
        "Leak that comes and goes",
        "Most intervals of the day have flow, also at night, on several days; or a cistern that \
         refills in even steps.",
        "Two days with fewer.",
    ),
    rule(
        40,
        "WTR-BURST",
        "Burst or open pipe",
        "Far more flow in half an hour than this place ever draws.",
        "Below half of the limit for an hour.",
    ),
    rule(
        41,
        "WTR-MNF",
        "Flow in the small hours",
        "The least hour between two and four at night is above what people at the place explain, \
         as a median of a week.",
        "Three nights below the limit.",
    ),
    rule(
        42,
        "WTR-CUSUM",
        "Night flow creeps up",
        "Small rises of the night flow add up against four clean weeks: a leak that grows.",
        "A repair, or three usual nights.",
    ),
    rule(
        43,
        "WTR-BACK",
        "Water flowed back",
        "The register reports reverse flow, or counted back. Flags that latch are counted once.",
        "35 days without a new case.",
    ),
    rule(
        44,
        "WTR-DRY",
        "Pipe is dry",
        "The meter reports that no water stands in it.",
        "24 h without.",
    ),
    rule(
        45,
        "WTR-TEMP",
        "Meter may freeze",
        "The meter has been close to freezing for hours.",
        "Warmer for as long.",
    ),
    rule(
        46,
        "WTR-EMPTY",
        "Air in the pipe",
        "The meter has reported air in the pipe for a day.",
        "24 h without.",
    ),
];
