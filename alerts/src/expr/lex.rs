//! Text into tokens.

use super::ExprError;
use super::ast::Literal;
use super::units::{UNITS, Unit};

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Number(Literal),
    Text(String),
    Word(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 21] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")",
    "[", "]", ",",
];

const WORD_MAX: usize = 40;

/// Every token with the offset at which it begins; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExprError> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        if first == ' ' || first == '\t' || first == '\n' || first == '\r' {
            at += 1;
            continue;
        }
        let (len, token) = if first.is_ascii_digit() {
            number(rest, at)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = word(rest);
            if word.len() > WORD_MAX {
                return Err(ExprError::at(at, format!("a name has at most {WORD_MAX} letters")));
            }
            (word.len(), Token::Word(word.to_owned()))
        } else if first == '"' {
            quoted(rest, at)?
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| {
                ExprError::at(at, format!("`{}` has no meaning here", first.escape_default()))
            })?;
            (sign.len(), Token::Sign(sign))
        };
        all.push((at, token));
        at += len;
    }
    all.push((text.len(), Token::End));
    Ok(all)
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn quoted(text: &str, at: usize) -> Result<(usize, Token), ExprError> {
    let inner = text.get(1..).unwrap_or_default();
    let end = inner.find('"').ok_or_else(|| ExprError::at(at, "the text has no closing quote"))?;
    let inner = inner.get(..end).unwrap_or_default();
    if inner.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(ExprError::at(at, "a text has no backslash and no control character"));
    }
    Ok((end + 2, Token::Text(inner.to_owned())))
}

/// Digits, perhaps a point and more digits, and at once a unit.
fn number(text: &str, at: usize) -> Result<(usize, Token), ExprError> {
    let bytes = text.as_bytes();
    let (mut end, mut digits, mut known, mut decimals) = (0, 0_u64, 0, 0_u8);
    let mut behind_point = false;
    while let Some(byte) = bytes.get(end) {
        let followed = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if byte.is_ascii_digit() {
            digits = digits * 10 + u64::from(byte - b'0');
            known += u8::from(digits > 0);
            decimals += u8::from(behind_point);
        } else if *byte == b'.' && !behind_point && followed {
            behind_point = true;
        } else {
            break;
        }
        if known > 15 || decimals > 9 {
            let message = "a number has at most 15 digits, 9 of them behind the point";
            return Err(ExprError::at(at, message));
        }
        end += 1;
    }
    let suffix = word(text.get(end..).unwrap_or_default());
    let unit = if suffix.is_empty() {
        None
    } else {
        let known: Vec<&str> = UNITS.iter().map(|unit| unit.name).collect();
        Some(Unit::of(suffix).ok_or_else(|| {
            let known = known.join(", ");
            ExprError::at(at + end, format!("`{suffix}` is no unit; the units are {known}"))
        })?)
    };
    Ok((end + suffix.len(), Token::Number(Literal { digits, decimals, unit })))
}
