//! An instant in four bytes: most of what is kept of a meter are instants.

use super::NEVER;
use crate::snapshot::snap_by;

/// Whole seconds since 1970 up to the year 2106, [`NEVER`] or "none" (`i64::MAX`); also the number
/// of a slot or of a period.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sec(u32);

snap_by!(Sec, u32, |sec: Sec| sec.0, |number| Some(Sec(number)));

impl Sec {
    pub(crate) const NEVER: Self = Self(0);
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// What is out of range comes to stand at its nearest end.
    pub(crate) fn of(at: i64) -> Self {
        match at {
            NEVER => Self::NEVER,
            i64::MAX => Self::NONE,
            _ => Self(u32::try_from(at.max(1)).unwrap_or(u32::MAX).min(u32::MAX - 1)),
        }
    }

    /// As it is kept.
    pub(crate) const fn to_le_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    pub(crate) const fn from_le_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// Seconds, as the rules reckon.
    pub(crate) fn s(self) -> i64 {
        match self {
            Self::NEVER => NEVER,
            Self::NONE => i64::MAX,
            Self(at) => i64::from(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_marks_come_back() {
        for at in [NEVER, 1, 1_800_000_000, 4_294_967_294, i64::MAX] {
            assert_eq!(Sec::of(at).s(), at);
        }
        assert_eq!((Sec::of(-5).s(), Sec::of(i64::MAX - 1).s()), (1, 4_294_967_294));
        assert!(Sec::NEVER < Sec::of(1) && Sec::of(1) < Sec::NONE);
    }
}
