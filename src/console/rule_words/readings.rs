//! Rules #1 to #24: what is said of a reading, its register and its day.

use super::{RuleText, rule};

const DAY_CLEAN: &str = "24 h without a new case.";
const TWO_WINDOWS: &str = "Two windows in a row pass.";

pub(super) const INTEGRITY: &[RuleText] = &[
    rule(
        1,
        "ING-DUP",
        "The same interval arrived twice",
        "A repeat with the same value is counted and dropped. With another value it becomes a new \
         version by rank; many of them mean that two devices send under one name.",
        "Nothing to clear.",
    ),
    rule(
        2,
        "ING-TIME",
        "Implausible time stamp",
        "The interval ends in the future, too far in the past, before the meter was installed, or \
         off the grid of its length.",
        DAY_CLEAN,
    ),
    rule(
        3,
        "ING-SIZE",
        "Wrong interval length",
        "The interval has not the length that the channel is configured for.",
        DAY_CLEAN,
    ),
    rule(
        4,
        "ING-UOM",
        "Unit differs from the asset record",
        "The reported unit is not that of the asset record: bills would be wrong by a factor.",
        "The records agree.",
    ),
    rule(
        5,
        "ING-MULT",
        "Multiplier or digits differ from the asset record",
        "The reported multiplier, digits or width are not those of the asset record: bills would \
         be wrong by a factor.",
        "The records agree.",
    ),
    rule(
        6,
        "ING-FLAG",
        "The device marked the value itself",
        "The device reports an overflow, a skipped or partial interval, test mode, a memory error \
         or a set clock. Bad values are held, weak ones are marked.",
        DAY_CLEAN,
    ),
    rule(
        7,
        "ING-CLK",
        "Meter clock drifts",
        "The meter's clock differs from ours at contact, or runs away from day to day. Time-of-use \
         meters have a closer limit.",
        "Close to ours at two contacts.",
    ),
    rule(
        8,
        "ING-DST",
        "Day of a clock change has the wrong shape",
        "The local day has not the number of intervals that its zone asks for, by exactly the \
         hour that was set.",
        "The next clock change is handled, or the configuration is put right.",
    ),
    rule(
        9,
        "ING-MSG",
        "Messages of a device are missing",
        "The device's own counter of messages or events skips while readings arrive.",
        "Nothing to clear; it feeds the delivery share.",
    ),
];

pub(super) const REGISTER: &[RuleText] = &[
    rule(
        10,
        "REG-ROLL",
        "Register rolled over",
        "The counter passed its last digit and began again; the advance is plausible, so it is \
         only recorded.",
        "Nothing to clear.",
    ),
    rule(
        11,
        "REG-DEC",
        "Register fell",
        "The counter is lower than before and did not roll over: an exchange, a reset, backward \
         flow or a fault.",
        "An exchange is recorded, or seven days without a fall.",
    ),
    rule(
        12,
        "REG-CAP",
        "More than the service can carry",
        "The counter advanced by more than fuse, pipe or meter can pass in the time between.",
        "The next two reads are plausible.",
    ),
    rule(
        13,
        "REG-SUM",
        "Intervals do not add up to the register",
        "The sum of the intervals between two register reads differs from the advance by more \
         than rounding explains. The register governs the total.",
        TWO_WINDOWS,
    ),
    rule(
        14,
        "REG-TOU",
        "Rate registers do not add up to the total",
        "The advances of the rate registers differ from that of the total register.",
        TWO_WINDOWS,
    ),
    rule(
        15,
        "REG-DELTA",
        "Advance far from the one before",
        "For meters that send registers only: the advance per day differs from the one before by \
         several times.",
        "The next read passes.",
    ),
];

pub(super) const INTERVAL: &[RuleText] = &[
    rule(
        16,
        "INT-SPIKE",
        "Spike in a day",
        "The highest interval of the day stands far above the third highest. Limits differ by \
         class, since homes are peaky by nature.",
        "The next day passes.",
    ),
    rule(
        17,
        "INT-HILO",
        "Use of the cycle far from last year's",
        "Average daily use is several times, or a small part of, that of the same cycle last year \
         or of the last cycles.",
        "Two cycles or seven days near the usual.",
    ),
    rule(
        18,
        "INT-ZERO",
        "Zeros for longer than ever",
        "An active meter counts nothing for much longer than its own longest pauses.",
        "Two intervals with use within 24 h.",
    ),
    rule(
        19,
        "INT-INACT",
        "Use where nobody has a contract",
        "A place without an active account, or with a closed valve or open switch, uses more than \
         a remainder.",
        "The account is active, or a work order is made.",
    ),
    rule(
        20,
        "INT-NEG",
        "Negative interval",
        "A channel that only counts up reports a negative value.",
        DAY_CLEAN,
    ),
    rule(
        21,
        "INT-FLAT",
        "The same value again and again",
        "A value other than zero repeats for a day, or hardly varies for two.",
        "Four intervals that differ.",
    ),
    rule(
        22,
        "INT-KVARH",
        "Power factor says that a phase is lost",
        "Active and reactive energy do not fit a sound three-phase connection: a lost potential or \
         a current transformer on the wrong phase.",
        "24 h inside the limits.",
    ),
    rule(
        23,
        "INT-GAP",
        "Interval missing",
        "An interval that was due did not come. It counts against delivery and is estimated after \
         the retry time.",
        "The interval arrives or is estimated.",
    ),
    rule(
        24,
        "INT-PROLONG",
        "Estimated for too long",
        "The channel lives on estimates for days on end: the issue behind it is escalated and the \
         bill is reviewed.",
        "24 h of real values.",
    ),
];
