//! The catalogue: all 67 rules of `metering-rules` 2 with what staff and operators must know of
//! each, and the numbers of operators' own rules (`metering-rules` 12).

use std::fmt;

use metering::{RuleNo, Severity};

use crate::cause::Cause;

/// A rule of the catalogue: its number, which is never reused, and its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId {
    pub no: RuleNo,
    pub name: &'static str,
}

/// What it costs to judge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CostClass {
    /// Constant per reading, no history read.
    O1,
    /// At the close of a meter's day.
    Day,
    /// Once a week, month, quarter or year, and per billing cycle.
    Week,
    Month,
    Quarter,
    Year,
    Cycle,
    /// At the tick of a group (collector, district, transformer).
    Group,
    /// When a meter is lost, and again on new evidence.
    Event,
}

impl CostClass {
    pub const fn word(self) -> &'static str {
        match self {
            Self::O1 => "O(1)",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Cycle => "cycle",
            Self::Group => "group",
            Self::Event => "event",
        }
    }
}

/// What a finding does to a bill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BillingEffect {
    None,
    /// Usable, marked.
    Flag,
    /// The interval is not bill-usable until validated, estimated or accepted.
    Hold,
    /// A bill or a sewer basis waits for a person; intervals are usable.
    Review,
}

impl BillingEffect {
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flag => "flag",
            Self::Hold => "hold",
            Self::Review => "review",
        }
    }
}

/// Who judges the rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// Validation, reading by reading and at the close of a day; this crate opens the issues.
    Vee,
    /// The rule engine.
    Alerts,
}

/// What is known of a rule before any reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleInfo {
    pub id: RuleId,
    /// A few words for people.
    pub title: &'static str,
    /// Letters of E electricity, W water, G gas, S sewer.
    pub utilities: &'static str,
    pub cost: CostClass,
    /// The severities that the rule gives by itself.
    pub severities: &'static [Severity],
    /// The causes of the issues that it opens; empty: it opens none.
    pub causes: &'static [Cause],
    pub billing: BillingEffect,
}

impl RuleInfo {
    /// May not be switched off: all ING, REG-CAP, INT-NEG, INT-GAP.
    pub fn is_mandatory(&self) -> bool {
        let number = self.id.no.get();
        number <= 9 || matches!(number, 12 | 20 | 23)
    }

    /// Its alerts may open an issue; the others are notices, or facts about an issue that is there.
    pub fn opens_issues(&self) -> bool {
        // #24 keeps the cause of the issue that it makes worse.
        !self.causes.is_empty() || self.id == RuleId::INT_PROLONG
    }

    pub fn judge(&self) -> Judge {
        if self.id.no.get() <= 24 { Judge::Vee } else { Judge::Alerts }
    }
}

/// `RuleNo` of a literal; the catalogue's numbers are all in range.
const fn rule(number: u8, name: &'static str) -> RuleId {
    match RuleNo::new(number) {
        Some(no) => RuleId { no, name },
        None => panic!("a rule number is 1 to 67, or 101 to 196"),
    }
}

macro_rules! catalogue {
    ($($no:literal $ident:ident $id:literal, $title:literal, $utilities:literal, $cost:ident,
        [$($severity:ident)*], [$($cause:ident)*], $billing:ident;)*) => {
        impl RuleId {
            $(#[doc = $title] pub const $ident: Self = rule($no, $id);)*
        }

        /// All 67 rules, by number.
        pub const CATALOGUE: &[RuleInfo] = &[$(RuleInfo {
            id: RuleId::$ident,
            title: $title,
            utilities: $utilities,
            cost: CostClass::$cost,
            severities: &[$(Severity::$severity),*],
            causes: &[$(Cause::$cause),*],
            billing: BillingEffect::$billing,
        }),*];
    };
}

catalogue! {
    1 ING_DUP "ING-DUP", "duplicate reading", "EWG", O1, [P4 P3],
        [DuplicateSource], None;
    2 ING_TIME "ING-TIME", "implausible timestamp", "EWG", O1, [P3],
        [ClockError], Hold;
    3 ING_SIZE "ING-SIZE", "wrong interval length", "EWG", O1, [P3],
        [ProgrammingError], Hold;
    4 ING_UOM "ING-UOM", "unit mismatch", "EWG", O1, [P2],
        [ConfigMismatch], Hold;
    5 ING_MULT "ING-MULT", "multiplier mismatch", "EWG", O1, [P2],
        [ConfigMismatch], Hold;
    6 ING_FLAG "ING-FLAG", "interval status flags", "EWG", O1, [P4 P3],
        [PulseOverflow MeterHardware LeftInTestMode], Hold;
    7 ING_CLK "ING-CLK", "clock drift", "EWG", O1, [P3 P2],
        [ClockError HeadendClock], Hold;
    8 ING_DST "ING-DST", "day shape", "EWG", Day, [P3],
        [DstConfig], None;
    9 ING_MSG "ING-MSG", "event counter gap", "EWG", O1, [P4],
        [], None;
    10 REG_ROLL "REG-ROLL", "rollover", "EWG", O1, [P4],
        [], None;
    11 REG_DEC "REG-DEC", "dial decrease", "EWG", O1, [P2],
        [ReverseRotation RegisterDecrease Backflow], Hold;
    12 REG_CAP "REG-CAP", "impossible advance", "EWG", O1, [P2],
        [BadRead EncoderFault], Hold;
    13 REG_SUM "REG-SUM", "interval sum check", "EWG", Day, [P3 P2],
        [SumMismatch ConfigMismatch MissingPulses DoubleCount], Hold;
    14 REG_TOU "REG-TOU", "TOU sum check", "E", Day, [P3],
        [TouProgramError], Hold;
    15 REG_DELTA "REG-DELTA", "register change against previous", "EWG", O1, [P3],
        [HighConsumption LowConsumption], Hold;
    16 INT_SPIKE "INT-SPIKE", "spike", "EWG", Day, [P4 P3 P2],
        [Spike], Flag;
    17 INT_HILO "INT-HILO", "high or low usage", "EWG", Day, [P3],
        [HighConsumption LowConsumption], Review;
    18 INT_ZERO "INT-ZERO", "zero on active", "EWG", O1, [P3 P2],
        [StoppedMeter], Hold;
    19 INT_INACT "INT-INACT", "usage on inactive", "EWG", Day, [P2 P1],
        [UsageOnInactive], Flag;
    20 INT_NEG "INT-NEG", "negative interval", "EWG", O1, [P3],
        [ReverseRotation Backflow], Hold;
    21 INT_FLAT "INT-FLAT", "constant non-zero", "EWG", O1, [P3],
        [StuckValue], Hold;
    22 INT_KVARH "INT-KVARH", "power factor", "E", O1, [P3],
        [PhaseOrCtFault], Hold;
    23 INT_GAP "INT-GAP", "missing interval", "EWG", O1, [P4],
        [], Hold;
    24 INT_PROLONG "INT-PROLONG", "prolonged estimation", "EWG", Day, [P3 P2],
        [], Review;
    25 VAR_HIGH "VAR-HIGH", "high variance", "EWG", Day, [P3 P4],
        [HighConsumption], None;
    26 VAR_LOW "VAR-LOW", "low variance", "EWG", Day, [P3 P4],
        [LowConsumption], None;
    27 VAR_BILL "VAR-BILL", "bill-shock projection", "EWGS", Day, [P4 P3],
        [], None;
    28 VAR_DMD "VAR-DMD", "demand excursion", "E", O1, [P3],
        [], Flag;
    29 VAR_PEER "VAR-PEER", "peer drop", "EW", Group, [P4],
        [], None;
    30 MTR_STOP "MTR-STOP", "stopped meter", "EWG", Day, [P2],
        [StoppedMeter], Hold;
    31 MTR_SLOW "MTR-SLOW", "under-registration", "EWG", Month, [P4],
        [SlowMeter], None;
    32 MTR_REV "MTR-REV", "reverse rotation", "E", O1, [P2],
        [ReverseRotation], Hold;
    33 MTR_ERR "MTR-ERR", "hard error", "EWG", O1, [P2],
        [MeterHardware], Hold;
    34 MTR_RESET "MTR-RESET", "register reset", "EWG", O1, [P2],
        [UnplannedReset], Hold;
    35 MTR_SWAP "MTR-SWAP", "identity change", "EWG", O1, [P2],
        [AssetMismatch], Hold;
    36 TMP_SCORE "TMP-SCORE", "tamper score", "EWG", O1, [P3 P2],
        [TamperSuspect], Flag;
    37 TMP_XFMR "TMP-XFMR", "transformer balance", "E", Group, [P3],
        [UnaccountedEnergy], None;
    38 WTR_CONT "WTR-CONT", "continuous flow", "W", O1, [P4 P3 P2 P1],
        [LeakCustomerSide], None;
    39 WTR_INT "WTR-INT", "intermittent leak", "W", Day, [P4],
        [LeakIntermittent], None;
    40 WTR_BURST "WTR-BURST", "burst or open pipe", "W", O1, [P2 P1],
        [BurstCustomerSide], None;
    41 WTR_MNF "WTR-MNF", "minimum night flow", "W", Day, [P4],
        [LeakCustomerSide], None;
    42 WTR_CUSUM "WTR-CUSUM", "slow leak growth", "W", Day, [P3 P2],
        [LeakCustomerSide DmaLeak], None;
    43 WTR_BACK "WTR-BACK", "backflow", "W", O1, [P2 P3],
        [Backflow], None;
    44 WTR_DRY "WTR-DRY", "dry pipe", "W", O1, [P3],
        [DryPipe], None;
    45 WTR_TEMP "WTR-TEMP", "freeze", "W", O1, [P3],
        [FreezeRisk], None;
    46 WTR_EMPTY "WTR-EMPTY", "empty pipe", "W", O1, [P3],
        [DryPipe], None;
    47 DMA_MNF "DMA-MNF", "minimum night flow of a district", "W", Group, [P2],
        [DmaLeak], None;
    48 DMA_BAL "DMA-BAL", "rolling balance of a district", "W", Group, [P2],
        [DmaLeak UnaccountedWater], None;
    49 DMA_ILI "DMA-ILI", "infrastructure leakage index", "W", Quarter, [P4],
        [], None;
    50 GAS_CONT "GAS-CONT", "continuous gas flow", "G", O1, [P2],
        [GasContinuousFlow], None;
    51 GAS_HIGH "GAS-HIGH", "high gas flow", "G", O1, [P1],
        [GasHighFlow], Flag;
    52 GAS_VALVE "GAS-VALVE", "flow behind a closed valve", "G", O1, [P1],
        [ValveFailure], Flag;
    53 GAS_ZERO "GAS-ZERO", "zero in the heating season", "G", O1, [P3],
        [StoppedMeter], Hold;
    54 GAS_TILT "GAS-TILT", "tilt", "G", O1, [P1],
        [TamperSuspect], None;
    55 GAS_PRESS "GAS-PRESS", "pressure or temperature", "G", O1, [P1 P2],
        [GasAnomaly], None;
    56 BAT_FLAG "BAT-FLAG", "low battery flag", "EWG", O1, [P3],
        [BatteryLow], None;
    57 BAT_VOLT "BAT-VOLT", "battery voltage", "WG", O1, [P3 P2],
        [BatteryLow], None;
    58 BAT_PROJ "BAT-PROJ", "battery life projection", "WG", Week, [P4 P3 P2],
        [BatteryLow], None;
    59 COM_STALE "COM-STALE", "silence", "EWG", O1, [P3 P2],
        [CommLost], None;
    60 COM_MISS "COM-MISS", "missed-interval ratio", "EWG", Day, [P4 P3],
        [RfMarginal], None;
    61 COM_COLL "COM-COLL", "collector outage", "EWG", Group, [P1 P3],
        [CollectorOutage Backhaul], None;
    62 PWR_AREA "PWR-AREA", "area outage", "E", Group, [P1 P2 P3],
        [PowerOutage SingleOut], None;
    63 COM_CLASSIFY "COM-CLASSIFY", "why a meter is silent", "EWG", Event, [P1 P2 P3],
        [HeadendOutage PowerOutage BatteryDead TamperSuspect RfObstructed FirmwareCohort
            CommLost], None;
    64 COM_BACKFILL "COM-BACKFILL", "late data", "EWG", O1, [P4],
        [], None;
    65 SWR_WQA "SWR-WQA", "sewer basis", "S", Year, [P4],
        [DataGap], Review;
    66 SWR_DEDUCT "SWR-DEDUCT", "deduct meter above main", "S", Cycle, [P3],
        [ConfigMismatch], Review;
    67 SWR_II "SWR-II", "inflow and infiltration", "S", Day, [P3],
        [SewerInflow], None;
}

/// Names of operators' own rules: `OP-0001` is number 101.
const OPERATORS: [RuleId; 96] = operators();

const OPERATOR_FIRST: u8 = 101;

const fn operators() -> [RuleId; 96] {
    let mut all = [rule(OPERATOR_FIRST, OPERATOR_NAMES[0]); 96];
    let mut at = 0;
    let mut number = OPERATOR_FIRST;
    while at < all.len() {
        all[at] = rule(number, OPERATOR_NAMES[at]);
        at += 1;
        number += 1;
    }
    all
}

#[rustfmt::skip]
const OPERATOR_NAMES: [&str; 96] = [
    "OP-0001", "OP-0002", "OP-0003", "OP-0004", "OP-0005", "OP-0006", "OP-0007", "OP-0008",
    "OP-0009", "OP-0010", "OP-0011", "OP-0012", "OP-0013", "OP-0014", "OP-0015", "OP-0016",
    "OP-0017", "OP-0018", "OP-0019", "OP-0020", "OP-0021", "OP-0022", "OP-0023", "OP-0024",
    "OP-0025", "OP-0026", "OP-0027", "OP-0028", "OP-0029", "OP-0030", "OP-0031", "OP-0032",
    "OP-0033", "OP-0034", "OP-0035", "OP-0036", "OP-0037", "OP-0038", "OP-0039", "OP-0040",
    "OP-0041", "OP-0042", "OP-0043", "OP-0044", "OP-0045", "OP-0046", "OP-0047", "OP-0048",
    "OP-0049", "OP-0050", "OP-0051", "OP-0052", "OP-0053", "OP-0054", "OP-0055", "OP-0056",
    "OP-0057", "OP-0058", "OP-0059", "OP-0060", "OP-0061", "OP-0062", "OP-0063", "OP-0064",
    "OP-0065", "OP-0066", "OP-0067", "OP-0068", "OP-0069", "OP-0070", "OP-0071", "OP-0072",
    "OP-0073", "OP-0074", "OP-0075", "OP-0076", "OP-0077", "OP-0078", "OP-0079", "OP-0080",
    "OP-0081", "OP-0082", "OP-0083", "OP-0084", "OP-0085", "OP-0086", "OP-0087", "OP-0088",
    "OP-0089", "OP-0090", "OP-0091", "OP-0092", "OP-0093", "OP-0094", "OP-0095", "OP-0096",
];

impl RuleId {
    /// A rule of the catalogue or an operator's own.
    pub fn from_number(number: u8) -> Option<Self> {
        if number >= OPERATOR_FIRST {
            return OPERATORS.get(usize::from(number - OPERATOR_FIRST)).copied();
        }
        CATALOGUE.get(usize::from(number).checked_sub(1)?).map(|info| info.id)
    }

    /// The rule of a name such as `WTR-CONT` or `OP-0007`.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = CATALOGUE.iter().map(|info| info.id).find(|id| id.name == name);
        known.or_else(|| OPERATORS.iter().copied().find(|id| id.name == name))
    }

    /// What the catalogue says; `None` for operators' own rules.
    pub fn info(self) -> Option<&'static RuleInfo> {
        CATALOGUE.get(usize::from(self.no.get()).checked_sub(1)?)
    }

    /// See [`RuleInfo::opens_issues`]; operators' own rules do as they say.
    pub fn opens_issues(self) -> bool {
        self.info().is_none_or(RuleInfo::opens_issues)
    }

    /// Written by an operator (`metering-rules` 12).
    pub const fn is_operators(self) -> bool {
        self.no.get() >= OPERATOR_FIRST
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_catalogue_is_found_by_number_and_by_name() {
        assert_eq!(CATALOGUE.len(), 67);
        for (at, info) in CATALOGUE.iter().enumerate() {
            assert_eq!(usize::from(info.id.no.get()), at + 1);
            assert_eq!(RuleId::from_number(info.id.no.get()), Some(info.id));
            assert_eq!(RuleId::from_name(info.id.name), Some(info.id));
            assert_eq!(info.id.info(), Some(info));
            assert!(!info.severities.is_empty(), "{}", info.id);
        }
        assert_eq!(CATALOGUE.iter().filter(|info| info.is_mandatory()).count(), 12);
    }

    #[test]
    fn operators_have_96_numbers_of_their_own() {
        let last = RuleId::from_name("OP-0096").unwrap();
        assert_eq!((last.no.get(), last.is_operators(), last.info()), (196, true, None));
        assert_eq!(RuleId::from_number(101).unwrap().name, "OP-0001");
        assert_eq!(RuleId::from_number(197), None);
        assert_eq!(RuleId::from_number(68), None);
        assert_eq!(RuleId::from_number(0), None);
    }
}
