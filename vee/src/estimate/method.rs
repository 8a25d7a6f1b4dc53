//! The methods of 6.4 by their fixed numbers.

use std::fmt;
use std::str::FromStr;

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $id:literal, $title:literal;)*) => {
        /// How a value came to be that no meter sent. The numbers are stored and never reused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Method { $($(#[$doc])* $name = $number),* }

        impl Method {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in the catalogue.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// What people read.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

methods! {
    Check = 1, "EST-CHK", "check meter or alternate channel";
    /// From what the meter measured in another shape: re-sliced intervals, an hour that came twice.
    Calculated = 2, "EST-CALC", "calculated from other flows";
    /// Reserved by 6.4; no algorithm here produces it.
    Scada = 3, "EST-SCADA", "SCADA";
    LikeOne = 4, "EST-LIKE1", "single like day";
    LikeMean = 5, "EST-LIKEN", "average of like days";
    Linear = 6, "EST-LIN", "straight line";
    OutageZero = 7, "EST-ZERO", "zero: power outage";
    PreviousYear = 8, "EST-PREVY", "same period of last year";
    /// A new scale for values of another method.
    Scaled = 9, "EST-SCALE", "scaled to the register";
    AverageDaily = 10, "EST-ADL", "average daily load";
    ClassProfile = 11, "EST-CLASS", "class profile";
    Edit = 12, "EDIT", "edited by a person";
}

impl Method {
    /// Version of the algorithms; part of an estimation's identity.
    pub const VERSION: u16 = 1;

    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The rank among estimates (6.5), best first: scaled, like day, linear, class, zero.
    pub const fn rank(self, scaled: bool) -> u8 {
        match self {
            Self::Edit => 0,
            _ if scaled => 1,
            Self::Check | Self::Calculated | Self::Scada => 2,
            Self::LikeMean | Self::LikeOne | Self::PreviousYear | Self::Scaled => 3,
            Self::Linear => 4,
            Self::AverageDaily | Self::ClassProfile => 5,
            Self::OutageZero => 6,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The text names no method.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no estimation method: write for example EST-LIN, EST-LIKEN, EST-ADL or EST-ZERO")]
pub struct MethodError(String);

impl FromStr for Method {
    type Err = MethodError;

    /// Upper and lower case are the same; `EST-` may be left out.
    fn from_str(text: &str) -> Result<Self, MethodError> {
        let wanted = text.trim().to_ascii_uppercase();
        Self::ALL
            .iter()
            .find(|method| {
                method.id() == wanted || method.id().strip_prefix("EST-") == Some(wanted.as_str())
            })
            .copied()
            .ok_or_else(|| MethodError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read_back() {
        for (at, method) in Method::ALL.iter().enumerate() {
            assert_eq!(Method::from_number(method.number()), Some(*method));
            assert_eq!(method.id().parse::<Method>(), Ok(*method));
            assert_eq!(usize::from(method.number()), at + 1);
        }
        assert_eq!("likeN".parse::<Method>(), Ok(Method::LikeMean));
        assert!("guess".parse::<Method>().is_err());
    }
}
