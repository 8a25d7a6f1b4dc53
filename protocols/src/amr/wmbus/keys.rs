//! Keys of devices: read from a file, never shown and never logged.

use std::collections::BTreeMap;
use std::fmt;

use super::crypt::Key;
use crate::amr::ert::unhex;

/// AES-128 keys by the 8 digits of a device's identification.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys {
    by_device: BTreeMap<String, Key>,
}

/// A line of a key file that is no key. The message names the line and never what stands there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}; write one device a line: its 8 digits, a space, 32 hex digits")]
pub struct KeyFileError {
    pub line: usize,
    pub what: &'static str,
}

/// Devices of one head-end.
const DEVICES_MAX: usize = 1_000_000;

impl Keys {
    /// One device a line, `00254358 0011...ff`; empty lines and `#` comments are left out.
    ///
    /// # Errors
    /// [`KeyFileError`] names the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut keys = Self::default();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or("").trim();
            if content.is_empty() {
                continue;
            }
            let refuse = |what| KeyFileError { line, what };
            let mut words = content.split_ascii_whitespace();
            let (Some(device), Some(key), None) = (words.next(), words.next(), words.next()) else {
                return Err(refuse("there are not two words"));
            };
            let device = device.strip_prefix("wmbus:").unwrap_or(device).to_ascii_uppercase();
            if device.len() != 8 || !device.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(refuse("the device is not 8 digits"));
            }
            let key = unhex(key.as_bytes()).and_then(|bytes| Key::try_from(bytes).ok());
            let key = key.ok_or_else(|| refuse("the key is not 32 hex digits"))?;
            if keys.by_device.len() >= DEVICES_MAX {
                return Err(refuse("there are more than a million devices"));
            }
            if keys.by_device.insert(device, key).is_some() {
                return Err(refuse("the device stands twice"));
            }
        }
        Ok(keys)
    }

    pub fn len(&self) -> usize {
        self.by_device.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_device.is_empty()
    }

    pub(super) fn of(&self, digits: &str) -> Option<&Key> {
        self.by_device.get(digits)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} devices, redacted)", self.by_device.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_never_shown() {
        let text = "# water\n00254358 000102030405060708090a0b0c0d0e0f # cellar\n\nwmbus:0025435A 0F0E0D0C0B0A09080706050403020100\n";
        let keys = Keys::parse(text).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.of("00254358").map(|key| key[15]), Some(15));
        assert_eq!(format!("{keys:?}"), "Keys(2 devices, redacted)");
        let secret = "000102030405060708090a0b0c0d0e";
        for (text, line) in [
            (format!("00254358 {secret}"), 1),
            (format!("\n254358 {secret}0f"), 2),
            (format!("00254358 {secret}0f x"), 1),
            (format!("00254358 {secret}0f\n00254358 {secret}0f"), 2),
        ] {
            let refused = Keys::parse(&text).unwrap_err();
            assert_eq!(refused.line, line);
            assert!(!refused.to_string().contains(secret));
        }
    }
}
