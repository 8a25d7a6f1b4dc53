//! The code map of 6.3: our flags and statuses in IEC 61968-9, NEM12 and IEEE 2030.5.

use std::fmt;

use metering::{DeviceFlags, QualityStatus, RuleMask};

use crate::rules::Rule;

/// IEC 61968-9 quality code `system.category.index`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Iec {
    pub system: u8,
    pub category: u8,
    pub index: u16,
}

impl fmt::Display for Iec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.system, self.category, self.index)
    }
}

/// NEM12 quality, method number and reason code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nem12 {
    /// `A` actual, `E` forward estimate, `F` final substitute, `N` null, `S` substitute.
    pub quality: char,
    /// AEMO method number, where the row tells one.
    pub method: Option<u8>,
    pub reason: Option<u8>,
}

/// May a value with this code be billed?
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Usable {
    Yes,
    /// Yes, with a mark on the bill.
    Flag,
    No,
    /// No, until staff accept it.
    UntilAccepted,
    /// Only if all mandatory rules could be evaluated.
    IfEvaluable,
    /// The total is, its split by rates is not.
    TotalOnly,
    /// By the size of the difference (ING-CLK).
    BySize,
    /// By the rule that failed.
    PerRule,
    /// If the values that it is made of are.
    IfInputsAre,
}

/// A row of the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeRow {
    /// Stable name.
    pub name: &'static str,
    pub iec: Iec,
    /// `None`: internal, or superseded before a file is written.
    pub nem12: Option<Nem12>,
    /// IEEE 2030.5 quality flags: bit n set = flag n.
    pub bits_2030_5: u8,
    pub usable: Usable,
}

const fn iec(system: u8, category: u8, index: u16) -> Iec {
    Iec { system, category, index }
}

const fn nem(quality: char, method: u8, reason: u8) -> Option<Nem12> {
    Some(Nem12 {
        quality,
        method: if method == 0 { None } else { Some(method) },
        reason: if reason == NONE { None } else { Some(reason) },
    })
}

/// No NEM12 reason; 0 is one ("free text").
const NONE: u8 = u8::MAX;
const VALID: u8 = 1;
const EDITED: u8 = 1 << 1;
/// From a reference day.
const ESTIMATED: u8 = 1 << 2;
/// By linear interpolation.
const INTERPOLATED: u8 = 1 << 3;
const QUESTIONABLE: u8 = 1 << 4;
const DERIVED: u8 = 1 << 5;
const PROJECTED: u8 = 1 << 6;

macro_rules! rows {
    ($($name:literal $iec:expr, $nem12:expr, $bits:expr, $usable:ident;)*) => {
        /// All rows, in the order of the specification; failed rules and estimation methods have
        /// codes of their own, see [`failed_rule`] and [`estimated_by`].
        pub const CODES: &[CodeRow] = &[$(CodeRow {
            name: $name, iec: $iec, nem12: $nem12, bits_2030_5: $bits, usable: Usable::$usable,
        },)*];
    };
}

rows! {
    "raw" iec(2, 0, 0), nem('A', 0, NONE), 0, IfEvaluable;
    "validated" iec(3, 0, 1), nem('A', 0, NONE), VALID, Yes;
    "verified" iec(3, 10, 1), nem('A', 0, 0), VALID | EDITED, Yes;
    "missing" iec(2, 5, 259), nem('N', 0, 85), QUESTIONABLE, No;
    "suspect" iec(3, 5, 258), nem('S', 0, 45), QUESTIONABLE, No;
    "out_of_range" iec(3, 5, 256), nem('S', 0, 96), QUESTIONABLE, UntilAccepted;
    "zero_usage" iec(3, 6, 1), nem('A', 0, 68), QUESTIONABLE, Flag;
    "usage_on_inactive" iec(3, 6, 2), nem('A', 0, 0), QUESTIONABLE, Flag;
    "tou_sum" iec(3, 6, 9), nem('S', 0, 45), QUESTIONABLE, TotalOnly;
    "estimated" iec(3, 8, 0), nem('S', 0, 94), ESTIMATED, Flag;
    "edited" iec(3, 7, 0), nem('F', 55, 93), EDITED, Yes;
    "added" iec(3, 7, 1), nem('F', 55, 92), EDITED, Yes;
    "rejected" iec(3, 7, 3), None, 0, No;
    "derived" iec(3, 11, 0), nem('S', 12, 0), DERIVED, IfInputsAre;
    "inferred" iec(3, 11, 1), nem('S', 12, 0), DERIVED, IfInputsAre;
    "projected" iec(3, 12, 0), nem('E', 0, 77), PROJECTED, No;
    "power_fail" iec(1, 2, 32), nem('A', 0, 79), 0, Flag;
    "outage_zero" iec(1, 2, 32), nem('S', 19, 43), 0, Flag;
    "service_switch" iec(1, 2, 3), nem('A', 0, 21), 0, Yes;
    "overflow" iec(1, 4, 1), nem('S', 0, 95), QUESTIONABLE, No;
    "partial" iec(1, 4, 2), nem('A', 0, 80), 0, Flag;
    "long" iec(1, 4, 3), nem('A', 0, 81), 0, Flag;
    "skipped" iec(1, 4, 4), nem('S', 0, 85), QUESTIONABLE, No;
    "test_mode" iec(1, 4, 5), nem('S', 0, 90), QUESTIONABLE, No;
    "config_changed" iec(1, 4, 6), nem('S', 0, 99), QUESTIONABLE, No;
    "not_recording" iec(1, 4, 7), nem('S', 0, 87), QUESTIONABLE, No;
    "reset_occurred" iec(1, 4, 8), nem('S', 0, 87), QUESTIONABLE, No;
    "clock_changed" iec(1, 4, 9), nem('A', 0, 89), 0, BySize;
    "clock_forward" iec(1, 4, 64), nem('A', 0, 89), 0, BySize;
    "clock_back" iec(1, 4, 128), nem('A', 0, 89), 0, BySize;
    "time_bias" iec(2, 4, 63), nem('A', 0, 86), QUESTIONABLE, BySize;
    "dst_in_effect" iec(1, 4, 16), nem('A', 0, NONE), 0, Yes;
    "dst_changed" iec(1, 4, 259), nem('A', 0, NONE), 0, Yes;
    "load_control" iec(1, 4, 10), nem('A', 0, 91), 0, Yes;
    "battery_low" iec(1, 1, 1), nem('A', 0, NONE), 0, Yes;
    "sensor_failure" iec(1, 1, 3), nem('S', 0, NONE), QUESTIONABLE, No;
    "watchdog" iec(1, 1, 4), nem('S', 0, 88), QUESTIONABLE, No;
    "parity" iec(1, 1, 5), nem('S', 0, 98), QUESTIONABLE, No;
    "crc" iec(1, 1, 6), nem('S', 0, 82), QUESTIONABLE, No;
    "ram" iec(1, 1, 7), nem('S', 0, 83), QUESTIONABLE, No;
    "rom" iec(1, 1, 8), nem('S', 0, 84), QUESTIONABLE, No;
    "clock_error" iec(1, 1, 9), nem('S', 0, 86), QUESTIONABLE, No;
    "cover_opened" iec(1, 3, 1), nem('A', 0, 60), 0, Flag;
    "revenue_protection" iec(1, 3, 0), nem('A', 0, 70), 0, Flag;
    "magnetic_tamper" iec(1, 3, 3), nem('A', 0, 70), 0, Flag;
    "reverse_rotation" iec(1, 3, 4), nem('A', 0, 39), 0, Flag;
    "static_data" iec(1, 3, 5), nem('A', 0, 39), 0, Flag;
    "indeterminate" iec(1, 10, 0), nem('A', 0, 0), QUESTIONABLE, Flag;
}

/// Code of failed rule `number`: 3.6.(1000 + n).
pub const fn failed_rule(number: metering::RuleNo) -> CodeRow {
    CodeRow {
        name: "failed_rule",
        iec: iec(3, 6, 1000 + number.get() as u16),
        nem12: nem('S', 0, 45),
        bits_2030_5: QUESTIONABLE,
        usable: Usable::PerRule,
    }
}

/// EST-LIN of 6.4.
const LINEAR: u8 = 6;

/// Code of an estimate by our method number `m` (6.4, 1 to 12): 3.8.(1000 + m). The AEMO method is
/// that of 6.4 and told by the estimation itself.
pub const fn estimated_by(method: u8) -> CodeRow {
    CodeRow {
        name: "estimated_by",
        iec: iec(3, 8, 1000 + method as u16),
        nem12: nem('S', 0, 94),
        bits_2030_5: if method == LINEAR { INTERPOLATED } else { ESTIMATED },
        usable: Usable::Yes,
    }
}

/// The codes of a value: of its status, then of each flag of the device, then of each rule that
/// failed it. The first one tells NEM12 quality and reason.
pub fn told(status: QualityStatus, flags: DeviceFlags, failed: RuleMask) -> Vec<CodeRow> {
    let row = |name: &str| CODES.iter().find(|row| row.name == name).copied();
    let doubtful = Rule::Spike.mask().bits() | Rule::Cap.mask().bits();
    let own = match status {
        QualityStatus::Missing => "missing",
        QualityStatus::Raw => "raw",
        QualityStatus::Suspect if failed.bits() & doubtful != 0 => "out_of_range",
        QualityStatus::Suspect => "suspect",
        QualityStatus::Validated => "validated",
        QualityStatus::Verified => "verified",
        QualityStatus::Estimated => "estimated",
        QualityStatus::Edited => "edited",
        QualityStatus::Rejected => "rejected",
        QualityStatus::OutageZero => "outage_zero",
    };
    let of_flags = FLAGS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name);
    let names = std::iter::once(own).chain(of_flags);
    names.filter_map(row).chain(failed.rules().map(failed_rule)).collect()
}

const FLAGS: [(DeviceFlags, &str); 11] = [
    (DeviceFlags::POWER_FAIL, "power_fail"),
    (DeviceFlags::DST, "dst_in_effect"),
    (DeviceFlags::CLOCK_CHANGED, "clock_changed"),
    (DeviceFlags::OVERFLOW, "overflow"),
    (DeviceFlags::PARTIAL, "partial"),
    (DeviceFlags::LONG, "long"),
    (DeviceFlags::SKIPPED, "skipped"),
    (DeviceFlags::TEST, "test_mode"),
    (DeviceFlags::CONFIG_CHANGED, "config_changed"),
    (DeviceFlags::NOT_RECORDING, "not_recording"),
    (DeviceFlags::LOW_BATTERY, "battery_low"),
];
