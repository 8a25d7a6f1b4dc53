//! What is really going on in the fleet: the faults that the head-end must find and the look-alikes
//! that it must leave alone (`metering-rules.md` 11.1).

use std::fmt;

use metering::UtcTime;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable text, as written to the truth file and to reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            pub fn from_name(text: &str) -> Option<Self> {
                Self::ALL.iter().find(|kind| kind.name() == text).copied()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

kinds! {
    /// What can be wrong.
    FaultKind {
        /// The meter sends nothing any more.
        SilentMeter = "silent_meter",
        /// The collector sends neither heartbeats nor readings.
        CollectorOutage = "collector_outage",
        /// Water runs without a pause.
        CustomerLeak = "customer_leak",
        /// Water runs at a rate that no household uses.
        Burst = "burst",
        /// The meter reports that its battery is low.
        BatteryLow = "battery_low",
        /// First the battery is low, days later the meter falls silent.
        BatteryDead = "battery_dead",
        /// The register stands still while the radio works.
        StoppedMeter = "stopped_meter",
        /// Several times the usual use, for days.
        HighConsumption = "high_consumption",
        /// A small part of the usual use, for days.
        LowConsumption = "low_consumption",
        /// One interval is sent far above what the register counted.
        GarbledInterval = "garbled_interval",
        /// For a day the intervals hold less than the register counted.
        LostPulses = "lost_pulses",
    }
}

kinds! {
    /// What looks like a fault and is none.
    HardNegativeKind {
        /// A pool is filled for 6 to 10 hours.
        PoolFill = "pool_fill",
        /// Nobody home from Friday to Monday.
        Vacation = "vacation",
        /// The garden is watered each morning.
        IrrigationSeason = "irrigation_season",
        /// A hospital never stops using water.
        ConstantFlow = "constant_flow",
        /// A shop without any use at weekends.
        WeekendZero = "weekend_zero",
        /// An empty flat; its meter is read and stands still.
        Vacant = "vacant",
        /// One telegram is printed dozens of times within a minute.
        RebroadcastStorm = "rebroadcast_storm",
        /// The counter passes its largest value.
        RegisterRollover = "register_rollover",
        /// No contact for a time that is shorter than the limits.
        RadioFade = "radio_fade",
        /// A meter without network keeps its intervals and sends them later.
        Backlog = "backlog",
        /// All meters of a collector send a past day again.
        MassReread = "mass_reread",
        /// A collector misses one heartbeat.
        CollectorHiccup = "collector_hiccup",
        /// A local day of 23 or 25 hours.
        DstDay = "dst_day",
    }
}

/// Whom a fault or a look-alike concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SubjectName {
    /// The number of a meter.
    Meter(String),
    /// The code of a collector.
    Collector(String),
    /// All meters.
    Fleet,
}

/// How large a fault is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Magnitude {
    pub value: i64,
    /// One of [`Magnitude::FLOW`], [`Magnitude::SHARE`], [`Magnitude::ENERGY`],
    /// [`Magnitude::HOURS`], [`Magnitude::NONE`].
    pub unit: &'static str,
}

/// A planned fault. It is in the data, and the rules as published find it by `detectable_by`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub subject: SubjectName,
    /// Causes that are a right answer, best first (`metering-rules.md` 4.3).
    pub causes: &'static [&'static str],
    /// Cause family of all of `causes`.
    pub family: &'static str,
    /// Causes that the fault truly brings with it; an issue with one of them on this subject after
    /// `onset` is neither the answer nor false.
    pub consequences: &'static [&'static str],
    pub onset: UtcTime,
    /// `None`: lasts to the end of the run.
    pub end: Option<UtcTime>,
    /// The fault begins at or after `live_start`.
    pub live: bool,
    pub detectable_by: UtcTime,
    /// BATTERY_DEAD: when the meter falls silent.
    pub silent_from: Option<UtcTime>,
    pub magnitude: Magnitude,
}

/// A planned look-alike: no issue may be opened on the subject because of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HardNegative {
    pub kind: HardNegativeKind,
    pub subject: SubjectName,
    pub from: UtcTime,
    pub to: UtcTime,
}

/// Everything that was planned. Faults are ordered by onset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    pub faults: Vec<Fault>,
    pub hard_negatives: Vec<HardNegative>,
}

/// One value as it was sent for the first time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TruthRead {
    pub meter: String,
    pub field: String,
    /// End of the interval, or the instant of reading.
    pub at: UtcTime,
    /// Length of the interval; 0 for registers and instants.
    pub len_s: i32,
    /// As sent: in counts of the channel.
    pub value: i64,
}

impl Magnitude {
    /// Water that runs, in litres per hour.
    pub const FLOW: &'static str = "L/h";
    /// Thousandths of the usual use.
    pub const SHARE: &'static str = "permille of usual";
    /// Energy that was never used, in watt-hours.
    pub const ENERGY: &'static str = "Wh";
    /// Hours of outage.
    pub const HOURS: &'static str = "h";
    /// The fault has no size.
    pub const NONE: &'static str = "";
}

impl SubjectName {
    /// The name alone; empty for the whole fleet.
    pub fn name(&self) -> &str {
        match self {
            Self::Meter(name) | Self::Collector(name) => name,
            Self::Fleet => "",
        }
    }

    /// Stable text of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Meter(_) => "meter",
            Self::Collector(_) => "collector",
            Self::Fleet => "fleet",
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// What intervals that do not fit their register bring with them: the difference may look like a
/// factor, and the day like another use.
const COUNTS: &[&str] =
    &["CONFIG_MISMATCH", "SPIKE", "HIGH_CONSUMPTION", "LOW_CONSUMPTION", "SUM_MISMATCH"];

impl FaultKind {
    /// Right answers, their family, and what the fault brings with it.
    pub const fn answers(self) -> (&'static [&'static str], &'static str, &'static [&'static str]) {
        match self {
            Self::SilentMeter => {
                (&["COMM_LOST", "COMM_LOST_UNKNOWN", "RF_OBSTRUCTED", "RF_MARGINAL"], "COMM", &[])
            }
            Self::CollectorOutage => (&["COLLECTOR_OUTAGE", "BACKHAUL"], "COMM", &[]),
            Self::CustomerLeak => {
                (&["LEAK_CUSTOMER_SIDE"], "LEAK", &["HIGH_CONSUMPTION", "LEAK_INTERMITTENT"])
            }
            Self::Burst => {
                (&["BURST_CUSTOMER_SIDE"], "LEAK", &["HIGH_CONSUMPTION", "LEAK_CUSTOMER_SIDE"])
            }
            Self::BatteryLow => (&["BATTERY_LOW"], "BATTERY", &[]),
            Self::BatteryDead => (&["BATTERY_DEAD", "BATTERY_LOW"], "BATTERY", &["COMM_LOST"]),
            Self::StoppedMeter => (&["STOPPED_METER"], "METROLOGY", &["LOW_CONSUMPTION"]),
            Self::HighConsumption => (&["HIGH_CONSUMPTION"], "DATA", &[]),
            Self::LowConsumption => (&["LOW_CONSUMPTION"], "DATA", &[]),
            Self::GarbledInterval => {
                (&["DOUBLE_COUNT", "SUM_MISMATCH", "BAD_READ"], "METROLOGY", COUNTS)
            }
            Self::LostPulses => (&["MISSING_PULSES", "SUM_MISMATCH"], "METROLOGY", COUNTS),
        }
    }
}

impl Fault {
    /// An issue with this cause on the fault's subject is a right answer.
    pub fn is_answered_by(&self, cause: &str) -> bool {
        self.causes.contains(&cause)
    }

    /// An issue with this cause on the fault's subject is true, if not the answer.
    pub fn explains(&self, cause: &str) -> bool {
        self.is_answered_by(cause) || self.consequences.contains(&cause)
    }
}
