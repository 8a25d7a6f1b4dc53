//! How far a stored value is to be trusted (CIM `ReadingQuality`), as the 16-bit slot code.

use std::fmt;

/// Status of an interval value (`metering-rules` 6.1). The numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum QualityStatus {
    Missing = 0,
    Raw = 1,
    Suspect = 2,
    Validated = 3,
    Verified = 4,
    Estimated = 5,
    Edited = 6,
    Rejected = 7,
    OutageZero = 8,
}

const STATUSES: [QualityStatus; 9] = [
    QualityStatus::Missing,
    QualityStatus::Raw,
    QualityStatus::Suspect,
    QualityStatus::Validated,
    QualityStatus::Verified,
    QualityStatus::Estimated,
    QualityStatus::Edited,
    QualityStatus::Rejected,
    QualityStatus::OutageZero,
];

impl QualityStatus {
    /// The word shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Raw => "raw",
            Self::Suspect => "suspect",
            Self::Validated => "validated",
            Self::Verified => "verified",
            Self::Estimated => "estimated",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
            Self::OutageZero => "outage zero",
        }
    }
}

/// What the device said about one interval: bits 4 to 14 of the slot code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DeviceFlags(u16);

impl DeviceFlags {
    pub const NONE: Self = Self(0);
    pub const POWER_FAIL: Self = Self(1 << 4);
    pub const DST: Self = Self(1 << 5);
    pub const CLOCK_CHANGED: Self = Self(1 << 6);
    pub const OVERFLOW: Self = Self(1 << 7);
    pub const PARTIAL: Self = Self(1 << 8);
    pub const LONG: Self = Self(1 << 9);
    pub const SKIPPED: Self = Self(1 << 10);
    pub const TEST: Self = Self(1 << 11);
    pub const CONFIG_CHANGED: Self = Self(1 << 12);
    pub const NOT_RECORDING: Self = Self(1 << 13);
    pub const LOW_BATTERY: Self = Self(1 << 14);
    const ALL: u16 = 0x7FF0;

    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Unknown bits are dropped.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL)
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Words for people, in bit order.
    pub fn words(self) -> Vec<&'static str> {
        const WORDS: [&str; 11] = [
            "power fail",
            "DST",
            "clock changed",
            "overflow",
            "partial",
            "long",
            "skipped",
            "test mode",
            "configuration changed",
            "not recording",
            "low battery",
        ];
        WORDS
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 & (1 << (bit + 4)) != 0)
            .map(|(_, word)| *word)
            .collect()
    }
}

impl fmt::Debug for DeviceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.words()).finish()
    }
}

/// Status, device flags and the mark "has an exception record", in 16 bits as stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotCode(u16);

impl SlotCode {
    const EXCEPTION: u16 = 1 << 15;

    pub const fn new(status: QualityStatus, flags: DeviceFlags) -> Self {
        Self(status as u16 | flags.0)
    }

    pub const fn with_exception(self) -> Self {
        Self(self.0 | Self::EXCEPTION)
    }

    pub const fn has_exception(self) -> bool {
        self.0 & Self::EXCEPTION != 0
    }

    /// As the `int2` of the tables (bit 15 is its sign).
    pub const fn to_i16(self) -> i16 {
        self.0.cast_signed()
    }

    /// `None` when the status bits name no status.
    pub fn from_i16(code: i16) -> Option<Self> {
        let code = code.cast_unsigned();
        (usize::from(code & 0x0F) < STATUSES.len()).then_some(Self(code))
    }

    pub fn status(self) -> QualityStatus {
        STATUSES[usize::from(self.0 & 0x0F).min(STATUSES.len() - 1)]
    }

    pub const fn flags(self) -> DeviceFlags {
        DeviceFlags::from_bits(self.0)
    }
}

impl fmt::Debug for SlotCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.has_exception() { "!" } else { "" };
        write!(f, "{}{mark} {:?}", self.status().word(), self.flags())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_code_survives_the_table() {
        for status in STATUSES {
            let code = SlotCode::new(status, DeviceFlags::LOW_BATTERY.union(DeviceFlags::DST))
                .with_exception();
            assert!(code.to_i16() < 0);
            let read = SlotCode::from_i16(code.to_i16()).unwrap();
            assert_eq!(read, code);
            assert_eq!(read.status(), status);
            assert_eq!(read.flags().words(), ["DST", "low battery"]);
        }
        assert_eq!(SlotCode::from_i16(9), None);
    }
}
