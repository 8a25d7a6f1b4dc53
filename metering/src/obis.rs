//! OBIS codes (IEC 62056-6-1): what a COSEM object measures.

use std::fmt;
use std::str::FromStr;

/// Six value groups `A-B:C.D.E*F`. Written with dots only, as `1.0.1.8.0.255`, or in the reduced
/// form `1-0:1.8.0` (F is then 255).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Obis([u8; 6]);

/// The text is no OBIS code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no OBIS code: write A-B:C.D.E*F or six numbers with dots, each 0 to 255")]
pub struct ObisError(String);

impl Obis {
    pub const fn new(groups: [u8; 6]) -> Self {
        Self(groups)
    }

    pub const fn groups(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Obis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a}-{b}:{c}.{d}.{e}")?;
        if last == 255 { Ok(()) } else { write!(f, "*{last}") }
    }
}

impl FromStr for Obis {
    type Err = ObisError;

    fn from_str(text: &str) -> Result<Self, ObisError> {
        let refuse = || ObisError(text.chars().take(40).collect());
        let parts: Vec<&str> = text.split(['-', ':', '.', '*']).collect();
        if parts.len() != 5 && parts.len() != 6 {
            return Err(refuse());
        }
        let mut groups = [255_u8; 6];
        for (group, part) in groups.iter_mut().zip(&parts) {
            *group = part.parse().map_err(|_| refuse())?;
        }
        Ok(Self(groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_one_is_written() {
        let import: Obis = "1-0:1.8.0".parse().unwrap();
        assert_eq!(import, "1.0.1.8.0.255".parse().unwrap());
        assert_eq!(import.to_string(), "1-0:1.8.0");
        assert_eq!("1-0:1.8.0*12".parse::<Obis>().unwrap().to_string(), "1-0:1.8.0*12");
        assert!("1-0:1.8".parse::<Obis>().is_err());
        assert!("1-0:1.8.256".parse::<Obis>().is_err());
    }
}
