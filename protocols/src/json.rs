//! Foreign JSON, read strictly but without a schema: one level at a time, digits kept as text.

use std::borrow::Cow;
use std::fmt;

use metering::Exact;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::format::{RejectReason, Rejected};

/// Deepest nesting of objects and lists.
const DEPTH_MAX: usize = 32;
/// Members of one object.
const MEMBERS_MAX: usize = 512;
/// Elements of one list, unless its text is long.
const ITEMS_MAX: usize = 512;

/// Members of one JSON object in the order sent; no key twice.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// One member's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The digits as sent.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// A list or an object, as sent.
    Nested(&'a str),
}

/// A string that borrows from the message unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Object<'a> {
    /// A whole payload that must be one object: UTF-8, not nested too deep.
    ///
    /// # Errors
    /// [`RejectReason::BadJson`] says what is wrong.
    pub(crate) fn document(payload: &'a [u8]) -> Result<Self, Rejected> {
        let text = std::str::from_utf8(payload)
            .map_err(|e| RejectReason::BadJson.because(format!("not UTF-8: {e}")))?;
        if depth_exceeds(payload, DEPTH_MAX) {
            return Err(
                RejectReason::BadJson.because(format!("nested deeper than {DEPTH_MAX} levels"))
            );
        }
        Self::parse(text)
    }

    /// An object within a document that was checked.
    ///
    /// # Errors
    /// [`RejectReason::BadJson`]: it is no object, or one with a key twice.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Rejected> {
        serde_json::from_str(text).map_err(|e| RejectReason::BadJson.because(e.to_string()))
    }

    /// `None` when the key is absent, which is not the same as null.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        let (_, raw) = self.members.iter().find(|(name, _)| name == key)?;
        Some(Value::of(raw))
    }

    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A member that must be an object.
    ///
    /// # Errors
    /// [`RejectReason::BadFormat`] when it is absent or something else.
    pub(crate) fn object(&self, key: &str) -> Result<Object<'a>, Rejected> {
        match self.get(key) {
            Some(Value::Nested(text)) if text.starts_with('{') => Self::parse(text),
            _ => Err(RejectReason::BadFormat.because(format!("`{key}` is no object"))),
        }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.members.iter().map(|(name, raw)| (name.as_ref(), Value::of(raw)))
    }
}

/// Elements of one JSON list in the order sent.
#[derive(Debug)]
pub(crate) struct Items<'a>(Vec<&'a RawValue>);

impl<'a> Items<'a> {
    /// A list within a document that was checked.
    ///
    /// # Errors
    /// [`RejectReason::BadJson`]: it is no list, or a longer one than its text is worth.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Rejected> {
        struct Elements(usize);
        impl<'de> Visitor<'de> for Elements {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {} elements", self.0)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == self.0 {
                        return Err(serde::de::Error::invalid_length(self.0 + 1, &self));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }
        let max = ITEMS_MAX.max(text.len() / 8);
        let mut parser = serde_json::Deserializer::from_str(text);
        let items = (&mut parser).deserialize_seq(Elements(max));
        items.map(Self).map_err(|error| RejectReason::BadJson.because(error.to_string()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<Value<'a>> {
        self.0.get(at).map(|raw| Value::of(raw))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'a>> {
        self.0.iter().map(|raw| Value::of(raw))
    }
}

impl<'a> Value<'a> {
    /// A whole payload that may be anything of JSON: UTF-8, not nested too deep.
    ///
    /// # Errors
    /// [`RejectReason::BadJson`] says what is wrong.
    pub(crate) fn document(payload: &'a [u8]) -> Result<Self, Rejected> {
        let text = std::str::from_utf8(payload)
            .map_err(|e| RejectReason::BadJson.because(format!("not UTF-8: {e}")))?;
        if depth_exceeds(payload, DEPTH_MAX) {
            return Err(
                RejectReason::BadJson.because(format!("nested deeper than {DEPTH_MAX} levels"))
            );
        }
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| RejectReason::BadJson.because(error.to_string()))?;
        Ok(Self::of(raw))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::Nested(text) if text.starts_with('['))
    }

    fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<Text<'a>>(text)
                .map_or(Self::Nested(text), |text| Self::Text(text.0)),
            Some(b'{' | b'[') => Self::Nested(text),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(text),
        }
    }

    /// A whole number that is not negative: a JSON integer, or `"0x1F"` as `rtl_433` prints some.
    pub(crate) fn uint(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            Self::Text(text) => match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        }
    }

    pub(crate) fn exact(&self) -> Option<Exact> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// A list of whole numbers, at most `max`.
    pub(crate) fn integers(&self, max: usize) -> Option<Vec<i64>> {
        match self {
            Self::Nested(text) if text.starts_with('[') => {
                // The text is bounded by the payload; the list itself by its text.
                let list: Vec<i64> = serde_json::from_str(text).ok()?;
                (list.len() <= max).then_some(list)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(text) | Self::Nested(text) => f.write_str(text),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {MEMBERS_MAX} members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(16);
                while let Some(Text(key)) = map.next_key()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(serde::de::Error::invalid_length(MEMBERS_MAX + 1, &self));
                    }
                    if members.iter().any(|(name, _)| *name == key) {
                        let key: String = key.chars().take(40).collect();
                        return Err(serde::de::Error::custom(format!("duplicate key `{key}`")));
                    }
                    members.push((key, map.next_value()?));
                }
                Ok(Object { members })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Looks at brackets outside strings only; whether the text is JSON at all is found later.
fn depth_exceeds(payload: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_and_absence_is_not_null() {
        let object = Object::document(
            br#"{"a": 1.2300, "b": null, "c": "x\ty", "d": [1, 2], "e": "0x1F", "f": true}"#,
        )
        .unwrap();
        assert_eq!(object.get("a"), Some(Value::Number("1.2300")));
        assert_eq!(object.get("b"), Some(Value::Null));
        assert_eq!(object.get("z"), None);
        assert_eq!(object.text("c").as_deref(), Some("x\ty"));
        assert_eq!(object.get("d").unwrap().integers(2), Some(vec![1, 2]));
        assert_eq!(object.get("d").unwrap().integers(1), None);
        assert_eq!(object.get("e").unwrap().uint(), Some(31));
        assert_eq!(object.get("f"), Some(Value::Bool(true)));
    }

    #[test]
    fn duplicates_depth_and_foreign_tokens_are_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        let deep_text = format!("{{\"a\":\"{}\"}}", "[".repeat(40));
        assert!(Object::document(deep_text.as_bytes()).is_ok());
        for bad in [
            "",
            "[]",
            "{\"a\":1,\"a\":2}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1}x",
            "{\"a\":",
            deep.as_str(),
        ] {
            let refused = Object::document(bad.as_bytes()).unwrap_err();
            assert_eq!(refused.reason, RejectReason::BadJson, "{bad}");
        }
        assert!(Object::document(b"{\"a\":\"\xff\"}").is_err());
    }
}
