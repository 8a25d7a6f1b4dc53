//! The rules of the catalogue (#1 to #24) that run on one reading and its neighbours.

use std::fmt;

use metering::RuleNo;

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
    /// The device's clock is ahead of ours.
    ClockDrift = 7, "ING-CLK";
    /// The counter rolled over.
    Rollover = 10, "REG-ROLL";
    /// The counter fell and did not roll over.
    Decrease = 11, "REG-DEC";
    /// More than the service can carry.
    Cap = 12, "REG-CAP";
    /// Negative on a channel that only counts up.
    Negative = 20, "INT-NEG";
}

impl Rule {
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The number as the verdict vocabulary has it.
    pub fn no(self) -> Option<RuleNo> {
        RuleNo::new(self.number())
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
