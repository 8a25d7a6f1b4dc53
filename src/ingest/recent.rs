//! The last telegrams of a channel, to know copies: radio meters repeat themselves, and several
//! collectors and decoders hear each telegram. The first copy that arrives counts.

use metering::{RuleMask, UtcTime};
use vee::Verdict;

const KEPT: usize = 8;

/// A ring of the last stored counters; small, fixed and copied without allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    telegrams: [(i64, i64); KEPT],
    len: u8,
    next: u8,
}

impl Recent {
    /// True when the same counter was stored within `window_s` of `at`, on whatever path.
    pub fn knows(&self, at: UtcTime, raw: i64, window_s: u32) -> bool {
        let window_us = i64::from(window_s) * 1_000_000;
        self.telegrams[..usize::from(self.len)].iter().any(|(us, known)| {
            *known == raw && us.abs_diff(at.micros()) <= window_us.unsigned_abs()
        })
    }

    /// True when the counter is among the last ones, however long ago: for a telegram that the
    /// broker sends again and that has no stamp of its own to be known by.
    pub fn holds(&self, raw: i64) -> bool {
        self.telegrams[..usize::from(self.len)].iter().any(|(_, known)| *known == raw)
    }

    pub fn push(&mut self, at: UtcTime, raw: i64) {
        self.telegrams[usize::from(self.next)] = (at.micros(), raw);
        self.next = (self.next + 1) % 8;
        self.len = (self.len + 1).min(8);
    }

    fn oldest_first(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let from = if usize::from(self.len) < KEPT { 0 } else { usize::from(self.next) };
        (0..usize::from(self.len)).map(move |n| self.telegrams[(from + n) % KEPT])
    }
}

/// The column `recent` of a channel's state: telegrams, and the verdict that the interval which
/// is still open will inherit.
pub(super) fn to_json(recent: &Recent, open: Verdict) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(40 + 32 * usize::from(recent.len));
    let _ =
        write!(text, "{{\"failed\":{},\"hold\":{},\"telegrams\":[", open.failed.bits(), open.hold);
    for (n, (us, raw)) in recent.oldest_first().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[{us},{raw}]");
    }
    text.push_str("]}");
    text
}

/// Reads the column; anything that is not of our making counts as "nothing known".
pub(super) fn from_json(text: &str) -> (Recent, Verdict) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let mut recent = Recent::default();
    for telegram in value["telegrams"].as_array().into_iter().flatten() {
        if let (Some(us), Some(raw)) = (telegram[0].as_i64(), telegram[1].as_i64()) {
            recent.push(UtcTime::from_micros(us), raw);
        }
    }
    let failed = RuleMask::from_bits(value["failed"].as_u64().unwrap_or(0));
    (recent, Verdict { failed, hold: value["hold"].as_bool().unwrap_or(false) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_known_within_the_window_and_after_a_restart() {
        let at = UtcTime::from_seconds;
        let mut recent = Recent::default();
        for n in 0..12 {
            recent.push(at(n * 100), n);
        }
        let open = Verdict { failed: RuleMask::from_bits(1 << 10), hold: true };
        let (read, verdict) = from_json(&to_json(&recent, open));
        assert_eq!(verdict, open);
        for known in [recent, read] {
            assert!(known.knows(at(1100 + 90), 11, 90));
            assert!(known.knows(at(1100 - 90), 11, 90));
            assert!(!known.knows(at(1100 + 91), 11, 90));
            assert!(!known.knows(at(1100), 10, 90));
            assert!(known.knows(at(400), 4, 90) && !known.knows(at(300), 3, 90));
        }
    }

    #[test]
    fn foreign_text_is_nothing_known() {
        for text in ["", "[]", "{}", "{\"telegrams\":[[1],[\"a\",2],3]}", "nul"] {
            assert_eq!(from_json(text), (Recent::default(), Verdict::default()));
        }
    }
}
