//! The rules that this crate runs, by the numbers and names of the catalogue (`metering-rules` 2).

use std::fmt;

use metering::RuleNo;

/// A rule of the catalogue: its number, which is never reused, and its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId {
    pub no: RuleNo,
    pub name: &'static str,
}

/// `RuleNo` of a literal; the catalogue's numbers are all in range.
const fn rule(number: u8, name: &'static str) -> RuleId {
    match RuleNo::new(number) {
        Some(no) => RuleId { no, name },
        None => panic!("a rule number is 1 to 67"),
    }
}

impl RuleId {
    /// Day far above the meter's own days of the same type.
    pub const VAR_HIGH: Self = rule(25, "VAR-HIGH");
    /// Day far below the meter's own days of the same type.
    pub const VAR_LOW: Self = rule(26, "VAR-LOW");
    /// Meter stopped: no consumption while its module is alive.
    pub const MTR_STOP: Self = rule(30, "MTR-STOP");
    /// Water flows without a pause for a day.
    pub const WTR_CONT: Self = rule(38, "WTR-CONT");
    /// Water flows far above what the place ever uses.
    pub const WTR_BURST: Self = rule(40, "WTR-BURST");
    /// The module says that its battery is low.
    pub const BAT_FLAG: Self = rule(56, "BAT-FLAG");
    /// The meter is silent; #63 COM-CLASSIFY says why.
    pub const COM_STALE: Self = rule(59, "COM-STALE");
    /// A collector is out.
    pub const COM_COLL: Self = rule(61, "COM-COLL");
    /// Nothing arrives from anybody (row 1 of #63).
    pub const COM_CLASSIFY: Self = rule(63, "COM-CLASSIFY");

    /// Every rule that runs here, in the order of the catalogue.
    pub const ALL: [Self; 9] = [
        Self::VAR_HIGH,
        Self::VAR_LOW,
        Self::MTR_STOP,
        Self::WTR_CONT,
        Self::WTR_BURST,
        Self::BAT_FLAG,
        Self::COM_STALE,
        Self::COM_COLL,
        Self::COM_CLASSIFY,
    ];

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.no.get() == number)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
