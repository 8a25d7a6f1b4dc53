//! What is around a telegram: text in hex or base64, or JSON of a receiver.

use std::borrow::Cow;

use crate::amr::ert::{base64, unhex};
use crate::format::{RejectReason, Rejected};
use crate::json::{Object, Value};

/// A telegram has at most 256 bytes, an M-Bus frame 261; check sums of blocks come on top.
const BYTES_MAX: usize = 320;
const TELEGRAM_KEYS: [&str; 5] = ["data", "hex", "telegram", "raw_hex", "payload"];

#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) rssi_dbm: Option<i16>,
}

impl<'a> Envelope<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Result<Self, Rejected> {
        let text = payload.trim_ascii();
        if !text.starts_with(b"{") {
            let bytes = telegram(text)?;
            return Ok(Self { bytes, time: None, rssi_dbm: None });
        }
        let object = Object::document(text)?;
        let key = TELEGRAM_KEYS.iter().find(|key| object.get(key).is_some()).ok_or_else(|| {
            let wanted = TELEGRAM_KEYS.join("`, `");
            RejectReason::BadFormat.because(format!("no telegram in `{wanted}`"))
        })?;
        let bytes = hex_field(&object, key)?;
        let time = ["timestamp", "time"].into_iter().find_map(|key| object.text(key));
        let time = time.filter(|text| !text.starts_with('@'));
        let rssi = ["rssi_dbm", "rssi"].into_iter().find_map(|key| object.get(key));
        Ok(Self { bytes, time, rssi_dbm: rssi.and_then(|value| whole(&value)) })
    }
}

/// The telegram in a member of an object, as text.
pub(super) fn hex_field(object: &Object<'_>, key: &str) -> Result<Vec<u8>, Rejected> {
    match object.get(key) {
        Some(Value::Text(text)) => telegram(text.trim().as_bytes()),
        _ => Err(RejectReason::BadFormat.because(format!("`{key}` is no text"))),
    }
}

fn telegram(text: &[u8]) -> Result<Vec<u8>, Rejected> {
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    if text.len() > BYTES_MAX * 3 {
        return Err(RejectReason::TooLarge
            .because(format!("{} characters; a telegram has at most 256 bytes", text.len())));
    }
    // People group digits; receivers print a separator between layers.
    let digits: Vec<u8> =
        text.iter().copied().filter(|c| !matches!(c, b' ' | b'_' | b'|' | b'#' | b':')).collect();
    let bytes = unhex(&digits).or_else(|| base64(text)).filter(|bytes| bytes.len() <= BYTES_MAX);
    bytes.ok_or_else(|| RejectReason::BadFormat.because("the telegram is neither hex nor base64"))
}

fn whole(value: &Value<'_>) -> Option<i16> {
    let (whole, _) = value.exact()?.to_decimals(0).ok()?;
    i16::try_from(whole).ok()
}
