//! What a rule says of a reading.

use std::fmt;

/// The fixed, never reused number of a rule of the catalogue (1 to 67), or of an operator's own rule
/// (101 to 196). #1 to #24 are `vee`'s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleNo(u8);

impl RuleNo {
    /// `None` unless 1 to 67 or 101 to 196.
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=67 | 101..=196 => Some(Self(number)),
            _ => None,
        }
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Result of one rule on one reading. `NotEvaluable` is not `Pass`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    Pass,
    Warn,
    Fail,
    NotEvaluable,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Fail, Self::NotEvaluable];

    /// As it travels in log frames.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// The rules that failed a reading: bit n-1 belongs to rule n, n = 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RuleMask(u64);

impl RuleMask {
    pub const EMPTY: Self = Self(0);

    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn with(self, rule: RuleNo) -> Self {
        if rule.0 > 64 { self } else { Self(self.0 | 1 << (rule.0 - 1)) }
    }

    pub const fn contains(self, rule: RuleNo) -> bool {
        rule.0 <= 64 && self.0 & 1 << (rule.0 - 1) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn rules(self) -> impl Iterator<Item = RuleNo> {
        (1..=64_u8).filter_map(RuleNo::new).filter(move |rule| self.contains(*rule))
    }
}

impl fmt::Debug for RuleMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.rules().map(RuleNo::get)).finish()
    }
}

/// P1 safety or large loss now; P2 act within a day; P3 within a week; P4 record only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    P1 = 1,
    P2 = 2,
    P3 = 3,
    P4 = 4,
}

impl Severity {
    pub const fn number(self) -> i16 {
        self as i16
    }

    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::P1),
            2 => Some(Self::P2),
            3 => Some(Self::P3),
            4 => Some(Self::P4),
            _ => None,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.number())
    }
}
