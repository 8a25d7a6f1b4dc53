//! Payloads of devices as a person can read them.

use store::views::activity::PAYLOAD_BYTES_SHOWN;

use crate::console::words;

/// A payload as a person can read it: text as it is, JSON indented, other bytes in hexadecimal.
pub(super) fn payload_text(payload: &[u8], size_bytes: i32) -> String {
    let shown = i32::try_from(payload.len()).unwrap_or(PAYLOAD_BYTES_SHOWN);
    let cut = if size_bytes > shown {
        format!("\n… {} B more", words::thousands(i64::from(size_bytes - shown)))
    } else {
        String::new()
    };
    let readable = |text: &str| text.chars().all(|c| !c.is_control() || "\n\r\t".contains(c));
    let text = match std::str::from_utf8(payload) {
        Ok(text) if readable(text) => indented(text),
        // A cut may have split the last character.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            String::from_utf8_lossy(&payload[..error.valid_up_to()]).into_owned()
        }
        _ => hex_lines(payload),
    };
    format!("{text}{cut}")
}

/// JSON with line breaks in its objects down to the second level; anything else as it came. Order
/// and digits stay as sent.
fn indented(text: &str) -> String {
    let trimmed = text.trim();
    if !trimmed.starts_with(['{', '[']) || trimmed.contains('\n') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(trimmed.len() * 2);
    let mut open: Vec<char> = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    let breaks = |open: &[char]| open.len() <= 2 && open.last() == Some(&'{');
    for c in trimmed.chars() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                open.push(c);
                out.push(c);
                if breaks(&open) {
                    new_line(&mut out, open.len());
                }
            }
            '}' | ']' => {
                let broke = breaks(&open);
                open.pop();
                if broke {
                    new_line(&mut out, open.len());
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                if breaks(&open) {
                    new_line(&mut out, open.len());
                }
            }
            '"' => {
                quoted = true;
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

fn hex_lines(payload: &[u8]) -> String {
    let line =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    payload.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_text_when_it_is_text() {
        assert_eq!(payload_text(b"{\"a\":1,\"b\":[1,2]}", 17), "{\n  \"a\":1,\n  \"b\":[1,2]\n}");
        assert_eq!(payload_text(b"{\"a\":\"x,\\\"}\"}", 13), "{\n  \"a\":\"x,\\\"}\"\n}");
        assert_eq!(payload_text(b"{\"m\":{\"a\":1}}", 13), "{\n  \"m\":{\n    \"a\":1\n  }\n}");
        assert_eq!(payload_text(&[0, 255], 2), "00 ff");
        assert_eq!(payload_text("né".as_bytes().split_last().unwrap().1, 3), "n\n… 1 B more");
        assert_eq!(payload_text(b"abc", 10), "abc\n… 7 B more");
    }
}
