//! The rules of the catalogue that are checked here, #1 to #24, and what their findings mean.

use std::fmt;

use metering::{RuleMask, RuleNo};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $id:literal;)*) => {
        /// A rule by its fixed number; bit `number - 1` of a `RuleMask`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Rule { $($(#[$doc])* $name = $number),* }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The rule's name in the catalogue.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }
        }
    };
}

rules! {
    /// Many readings of a day came again with another value.
    Duplicate = 1, "ING-DUP";
    /// The time stamp is implausible or off the grid.
    Time = 2, "ING-TIME";
    /// The interval has not the channel's length.
    Size = 3, "ING-SIZE";
    /// The unit is not that of the asset record.
    UnitOfMeasure = 4, "ING-UOM";
    /// Digits or width are not those of the asset record.
    Multiplier = 5, "ING-MULT";
    /// The device or the receiver marked the value as bad.
    Flag = 6, "ING-FLAG";
    /// The device's clock is not ours.
    ClockDrift = 7, "ING-CLK";
    /// The hour of a clock change is missing or came twice.
    DayShape = 8, "ING-DST";
    /// The device's event counter skipped.
    MessageGap = 9, "ING-MSG";
    /// The counter rolled over.
    Rollover = 10, "REG-ROLL";
    /// The counter fell and did not roll over.
    Decrease = 11, "REG-DEC";
    /// More than the service can carry.
    Cap = 12, "REG-CAP";
    /// Intervals and register tell different sums.
    Sum = 13, "REG-SUM";
    /// The rate registers and the total tell different sums.
    TouSum = 14, "REG-TOU";
    /// The register advanced much more or less than before.
    Delta = 15, "REG-DELTA";
    /// One interval is far above all others of the day.
    Spike = 16, "INT-SPIKE";
    /// Average daily use is far from what it was.
    HighLow = 17, "INT-HILO";
    /// Zero for longer than this meter ever is.
    Zero = 18, "INT-ZERO";
    /// Use without a customer, or behind an open switch.
    Inactive = 19, "INT-INACT";
    /// Negative on a channel that only counts up.
    Negative = 20, "INT-NEG";
    /// The same value again and again.
    Flat = 21, "INT-FLAT";
    /// The power factor points to a lost phase or a wrong current transformer.
    PowerFactor = 22, "INT-KVARH";
    /// A slot that was due is not there.
    Gap = 23, "INT-GAP";
    /// No actuals for days.
    Prolonged = 24, "INT-PROLONG";
}

/// What `Finding::kind` means, by rule, for outcomes Warn and Fail. 0 stands where a rule has one
/// condition only. A Pass has kind 0 and says that none of the rule's conditions holds. The numbers
/// travel in log frames and are never reused.
pub mod kind {
    /// The rule's only condition.
    pub const ONLY: u8 = 0;
    /// #6: more than the allowed share of the day fails; detail: slots.
    pub const FLAG_SHARE: u8 = 1;
    /// #6: pulse overflow; detail: slots.
    pub const FLAG_OVERFLOW: u8 = 2;
    /// #6: left in test mode; detail: seconds.
    pub const FLAG_TEST: u8 = 3;
    /// #8: the hour is missing at the change; detail: slots.
    pub const DST_MISSING: u8 = 1;
    /// #8: the hour came twice at the change; detail: slots.
    pub const DST_TWICE: u8 = 2;
    /// #13: the ratio of both sums is a whole number; detail: per mille of the register's advance by
    /// which the intervals are more (negative: less).
    pub const SUM_CONFIG: u8 = 1;
    /// #13: the intervals tell less than the register; detail as [`SUM_CONFIG`].
    pub const SUM_MISSING_PULSES: u8 = 2;
    /// #13: the intervals tell more than the register; detail as [`SUM_CONFIG`].
    pub const SUM_DOUBLE_COUNT: u8 = 3;
    /// #15, #17: more than before; detail: per cent of the reference.
    pub const HIGH: u8 = 1;
    /// #15, #17: less than before; detail: per cent of the reference.
    pub const LOW: u8 = 2;
    /// #17: the same at the close of a cycle, with a review hold of the bill.
    pub const CYCLE_HIGH: u8 = 3;
    pub const CYCLE_LOW: u8 = 4;
    /// #16: the highest against the third highest; detail: the highest value in milli-units.
    pub const SPIKE_RATIO: u8 = 1;
    /// #16: one high value in a day of zeros; detail as [`SPIKE_RATIO`].
    pub const SPIKE_ALONE: u8 = 2;
    /// #16, Warn: a ratio as of a spike, and the register confirms it; detail as [`SPIKE_RATIO`].
    pub const SPIKE_CONFIRMED: u8 = 3;
    /// #18: the meter's voltage is there all the while; detail: seconds of the run.
    pub const ZERO_LIVE: u8 = 1;
    /// #19: the account is inactive; detail: use of the day in milli-units.
    pub const INACTIVE_ACCOUNT: u8 = 1;
    /// #19: the switch or valve is open or shut; detail: use of the day in milli-units.
    pub const INACTIVE_SWITCH: u8 = 2;
    /// #21: identical values; detail: seconds of the run.
    pub const FLAT_IDENTICAL: u8 = 1;
    /// #21: nearly no spread over two days; detail: mean in milli-units.
    pub const FLAT_SPREAD: u8 = 2;
    /// #22: low power factor; detail: per mille.
    pub const PF_LOW: u8 = 1;
    /// #22: the power factor jumped and stayed; detail: per mille of today.
    pub const PF_JUMP: u8 = 2;
    /// #22: reactive energy without active energy; detail: seconds.
    pub const PF_REACTIVE_ONLY: u8 = 3;
    /// #24: by the number of days: warn, fail, urgent; detail: days.
    pub const PROLONG_WARN: u8 = 1;
    pub const PROLONG_FAIL: u8 = 2;
    pub const PROLONG_URGENT: u8 = 3;
}

/// What these rules doubt is decided by people: nothing is estimated in its place before.
pub const STAFF_ONLY: RuleMask = RuleMask::from_bits(
    Rule::UnitOfMeasure.mask().bits() | Rule::Multiplier.mask().bits() | Rule::Sum.mask().bits(),
);

impl Rule {
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The number as the verdict vocabulary has it.
    pub const fn no(self) -> Option<RuleNo> {
        RuleNo::new(self.number())
    }

    /// The rule's bit alone.
    pub const fn mask(self) -> RuleMask {
        RuleMask::from_bits(1 << (self.number() - 1))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_number_and_a_name_of_its_own() {
        for (at, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!(rule.no().unwrap().get(), rule.number());
            assert!(Rule::ALL[at + 1..].iter().all(|other| other.number() > rule.number()));
            assert!(Rule::ALL[at + 1..].iter().all(|other| other.id() != rule.id()));
        }
    }
}
