//! Why something is wrong ([`Cause`]) and which causes staff treat as one kind ([`Family`]):
//! `metering-rules` 4.3. The words are stored and exported; none is ever renamed.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $error:literal {
        $($(#[$vdoc:meta])* $variant:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable text, as stored and exported.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let known = Self::ALL.iter().find(|this| this.word() == text).copied();
                known.ok_or_else(|| UnknownWord {
                    what: $error,
                    text: text.chars().take(40).collect(),
                })
            }
        }
    };
}
pub(crate) use words;

/// The text names no cause, family or state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no {what}: see the list in metering-rules 4")]
pub struct UnknownWord {
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

words! {
    /// Causes that staff treat as one kind of work. One issue of a subject and family is open at
    /// a time.
    Family, "cause family" {
        Comm = "COMM",
        Power = "POWER",
        Metrology = "METROLOGY",
        Config = "CONFIG",
        Clock = "CLOCK",
        Tamper = "TAMPER",
        Leak = "LEAK",
        Backflow = "BACKFLOW",
        Battery = "BATTERY",
        Gas = "GAS",
        Data = "DATA",
        /// No water, or none soon: the pipe is dry or freezes. What leaks is another trouble.
        Supply = "SUPPLY",
    }
}

words! {
    /// What is wrong. The first part may be confirmed by staff, the second is only ever detected.
    Cause, "cause" {
        BatteryDead = "BATTERY_DEAD",
        BatteryLow = "BATTERY_LOW",
        RfObstructed = "RF_OBSTRUCTED",
        RfMarginal = "RF_MARGINAL",
        CommLostUnknown = "COMM_LOST_UNKNOWN",
        CollectorOutage = "COLLECTOR_OUTAGE",
        Backhaul = "BACKHAUL",
        HeadendOutage = "HEADEND_OUTAGE",
        PowerOutage = "POWER_OUTAGE",
        StoppedMeter = "STOPPED_METER",
        SlowMeter = "SLOW_METER",
        RegisterDecrease = "REGISTER_DECREASE",
        ReverseRotation = "REVERSE_ROTATION",
        Backflow = "BACKFLOW",
        EncoderFault = "ENCODER_FAULT",
        MeterHardware = "METER_HARDWARE",
        PulseOverflow = "PULSE_OVERFLOW",
        MissingPulses = "MISSING_PULSES",
        DoubleCount = "DOUBLE_COUNT",
        PhaseOrCtFault = "PHASE_OR_CT_FAULT",
        ClockError = "CLOCK_ERROR",
        DstConfig = "DST_CONFIG",
        ConfigMismatch = "CONFIG_MISMATCH",
        TouProgramError = "TOU_PROGRAM_ERROR",
        UnplannedReset = "UNPLANNED_RESET",
        LeftInTestMode = "LEFT_IN_TEST_MODE",
        AssetMismatch = "ASSET_MISMATCH",
        DuplicateSource = "DUPLICATE_SOURCE",
        TamperConfirmed = "TAMPER_CONFIRMED",
        Bypass = "BYPASS",
        UsageOnInactive = "USAGE_ON_INACTIVE",
        ValveFailure = "VALVE_FAILURE",
        LeakCustomerSide = "LEAK_CUSTOMER_SIDE",
        LeakIntermittent = "LEAK_INTERMITTENT",
        BurstCustomerSide = "BURST_CUSTOMER_SIDE",
        DmaLeak = "DMA_LEAK",
        DryPipe = "DRY_PIPE",
        Freeze = "FREEZE",
        GasContinuousFlow = "GAS_CONTINUOUS_FLOW",
        FirmwareCohort = "FIRMWARE_COHORT",
        /// Outcome only: the finding of staff, never detected.
        CustomerBehaviour = "CUSTOMER_BEHAVIOUR",
        /// Outcome only.
        Vacant = "VACANT",
        /// Outcome only.
        NoFaultFound = "NO_FAULT_FOUND",
        /// Outcome only; the text is in the comment.
        Other = "OTHER",
        BadRead = "BAD_READ",
        Spike = "SPIKE",
        StuckValue = "STUCK_VALUE",
        SumMismatch = "SUM_MISMATCH",
        ProgrammingError = "PROGRAMMING_ERROR",
        HeadendClock = "HEADEND_CLOCK",
        CommLost = "COMM_LOST",
        SingleOut = "SINGLE_OUT",
        TamperSuspect = "TAMPER_SUSPECT",
        UnaccountedEnergy = "UNACCOUNTED_ENERGY",
        UnaccountedWater = "UNACCOUNTED_WATER",
        HighConsumption = "HIGH_CONSUMPTION",
        LowConsumption = "LOW_CONSUMPTION",
        FreezeRisk = "FREEZE_RISK",
        GasHighFlow = "GAS_HIGH_FLOW",
        GasAnomaly = "GAS_ANOMALY",
        SewerInflow = "SEWER_INFLOW",
        DataGap = "DATA_GAP",
        /// A notice that replaces the variance alerts of a fleet on one day; never an issue.
        WeatherEvent = "WEATHER_EVENT",
    }
}

impl Cause {
    /// Position in [`Self::ALL`]; used in snapshots, which carry a schema version.
    pub(crate) const fn index(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// Whether staff may name it as what was found; the rest is only ever detected.
    pub const fn is_identifiable(self) -> bool {
        (self as u8) < (Self::BadRead as u8)
    }

    /// The family of the cause; `None` for outcomes, which keep the family of what was detected.
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::CommLost
            | Self::CommLostUnknown
            | Self::RfObstructed
            | Self::RfMarginal
            | Self::CollectorOutage
            | Self::Backhaul
            | Self::HeadendOutage
            | Self::FirmwareCohort => Some(Family::Comm),
            Self::PowerOutage | Self::SingleOut => Some(Family::Power),
            Self::StoppedMeter
            | Self::SlowMeter
            | Self::MeterHardware
            | Self::EncoderFault
            | Self::ReverseRotation
            | Self::RegisterDecrease
            | Self::PulseOverflow
            | Self::MissingPulses
            | Self::DoubleCount
            | Self::PhaseOrCtFault
            | Self::SumMismatch
            | Self::BadRead => Some(Family::Metrology),
            Self::ConfigMismatch
            | Self::TouProgramError
            | Self::UnplannedReset
            | Self::LeftInTestMode
            | Self::AssetMismatch
            | Self::ProgrammingError
            | Self::DstConfig => Some(Family::Config),
            Self::ClockError | Self::HeadendClock => Some(Family::Clock),
            other => other.family_of_use(),
        }
    }

    /// The second half of the table: what concerns use rather than the device.
    const fn family_of_use(self) -> Option<Family> {
        match self {
            Self::TamperSuspect
            | Self::TamperConfirmed
            | Self::Bypass
            | Self::UsageOnInactive
            | Self::UnaccountedEnergy => Some(Family::Tamper),
            Self::LeakCustomerSide
            | Self::LeakIntermittent
            | Self::BurstCustomerSide
            | Self::DmaLeak
            | Self::UnaccountedWater
            | Self::SewerInflow => Some(Family::Leak),
            Self::DryPipe | Self::Freeze | Self::FreezeRisk => Some(Family::Supply),
            Self::Backflow => Some(Family::Backflow),
            Self::BatteryLow | Self::BatteryDead => Some(Family::Battery),
            Self::GasContinuousFlow | Self::GasHighFlow | Self::GasAnomaly | Self::ValveFailure => {
                Some(Family::Gas)
            }
            Self::DuplicateSource
            | Self::Spike
            | Self::StuckValue
            | Self::DataGap
            | Self::HighConsumption
            | Self::LowConsumption
            | Self::WeatherEvent => Some(Family::Data),
            _ => None,
        }
    }

    /// Water that a customer's meter counted and that nobody used.
    pub(crate) const fn is_customers_leak(self) -> bool {
        matches!(self, Self::LeakCustomerSide | Self::LeakIntermittent | Self::BurstCustomerSide)
    }

    /// Why no rule names it, with the clause of `metering-rules`; `None` for what a rule names.
    pub const fn staff_only(self) -> Option<&'static str> {
        match self {
            Self::Bypass => Some(
                "named by staff only (4.3): a signature of a bypass adds points to #36 TMP-SCORE, \
                 which says TAMPER_SUSPECT",
            ),
            Self::TamperConfirmed => Some(
                "named by staff only (2.6, 4.4): #36 TMP-SCORE says TAMPER_SUSPECT, an inspection \
                 confirms it",
            ),
            Self::CommLostUnknown => Some(
                "named by staff only (2.11): without evidence #63 COM-CLASSIFY says COMM_LOST; that \
                 nobody found out why is a finding",
            ),
            Self::Freeze => Some(
                "named by staff only (2.7): #45 WTR-TEMP warns of the cold with FREEZE_RISK; that a \
                 pipe froze is seen on site",
            ),
            Self::Vacant => Some(
                "named by staff only (4.3: outcome only), for 11.1 counts a vacancy as a look-alike: \
                 #30 MTR-STOP is silent where its guard sees one, else VACANT is the runner-up of \
                 STOPPED_METER",
            ),
            Self::CustomerBehaviour | Self::NoFaultFound | Self::Other => {
                Some("named by staff only (4.3: outcome only): what an inspection found")
            }
            _ => None,
        }
    }

    /// True for the causes that only staff can find: they close an issue without naming a fault.
    pub const fn is_outcome_only(self) -> bool {
        matches!(self, Self::CustomerBehaviour | Self::Vacant | Self::NoFaultFound | Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_every_cause_but_the_outcomes_has_a_family() {
        for cause in Cause::ALL {
            assert_eq!(cause.word().parse::<Cause>().unwrap(), *cause);
            assert_eq!(Cause::from_index(cause.index()), Some(*cause));
            assert_eq!(cause.family().is_none(), cause.is_outcome_only(), "{cause}");
        }
        for family in Family::ALL {
            assert_eq!(family.word().parse::<Family>().unwrap(), *family);
            assert!(Cause::ALL.iter().any(|cause| cause.family() == Some(*family)), "{family}");
        }
        assert_eq!(
            "GREMLINS".parse::<Cause>().unwrap_err().to_string(),
            "`GREMLINS` is no cause: see the list in metering-rules 4"
        );
    }
}
