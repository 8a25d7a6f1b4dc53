//! Evidence and ranked causes, out of the JSON in which they are stored.

use serde_json::Value;

use super::{Evidence, RankedCause};

/// Reads `[{"key", "value", "unit", "text"}]`, or an object of keys and values. What cannot be read
/// is shown as its text: evidence is never hidden.
pub(in crate::views) fn evidence(json: &Value) -> Vec<Evidence> {
    match json {
        Value::Array(items) => items.iter().map(item).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| named(key, value)).collect(),
        Value::Null => Vec::new(),
        other => vec![named("", other)],
    }
}

fn item(json: &Value) -> Evidence {
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    match text("key") {
        Some(key) => Evidence {
            key,
            value: json.get("value").and_then(Value::as_i64).unwrap_or(0),
            unit: text("unit").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
        },
        None => named("", json),
    }
}

fn named(key: &str, value: &Value) -> Evidence {
    if let Some(number) = value.get("value") {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        return Evidence {
            key: key.to_owned(),
            value: number.as_i64().unwrap_or(0),
            unit: text("unit").to_owned(),
            text: text("text").to_owned(),
        };
    }
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let number = value.as_i64();
    Evidence {
        key: key.to_owned(),
        value: number.unwrap_or(0),
        unit: String::new(),
        text: if number.is_some() { String::new() } else { text },
    }
}

/// Reads `[{"cause", "log_odds_x100"}]` or `[["CAUSE", 120]]`, best first.
pub(super) fn ranked(json: &Value) -> Vec<RankedCause> {
    let Value::Array(items) = json else { return Vec::new() };
    let number = |value: Option<&Value>| {
        value.and_then(Value::as_i64).and_then(|n| i16::try_from(n).ok()).unwrap_or(0)
    };
    items
        .iter()
        .filter_map(|item| {
            let cause = item.get("cause").or_else(|| item.get(0))?.as_str()?.to_owned();
            let odds = ["log_odds_x100", "log_odds", "score"].iter().find_map(|key| item.get(key));
            Some(RankedCause { cause, log_odds_x100: number(odds.or_else(|| item.get(1))) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &[(&str, i64, &str, &str)]) {
        let read = evidence(&serde_json::from_str(json).unwrap());
        let short: Vec<_> = read
            .iter()
            .map(|e| (e.key.as_str(), e.value, e.unit.as_str(), e.text.as_str()))
            .collect();
        assert_eq!(short, want, "{json}");
    }

    #[test]
    fn evidence_is_read_in_either_shape_and_never_hidden() {
        check(
            r#"[{"key":"min_flow","value":38000,"unit":"mL/h","text":"least hour"}]"#,
            &[("min_flow", 38_000, "mL/h", "least hour")],
        );
        check(
            r#"{"a":{"value":5,"unit":"L"},"b":7,"c":"x"}"#,
            &[("a", 5, "L", ""), ("b", 7, "", ""), ("c", 0, "", "x")],
        );
        check("{}", &[]);
        check("[1.5]", &[("", 0, "", "1.5")]);
    }

    #[test]
    fn ranked_causes_are_read_in_either_shape() {
        for json in [
            r#"[["LEAK_CUSTOMER_SIDE",120]]"#,
            r#"[{"cause":"LEAK_CUSTOMER_SIDE","log_odds_x100":120}]"#,
        ] {
            let read = ranked(&serde_json::from_str(json).unwrap());
            let want = RankedCause { cause: "LEAK_CUSTOMER_SIDE".to_owned(), log_odds_x100: 120 };
            assert_eq!(read, [want]);
        }
    }
}
