//! A worse network: one message in twenty is held back for up to three days.

use std::collections::BTreeMap;

use metering::UtcTime;
use simulators::SimMessage;

const ONE_IN: u64 = 20;
const LONGEST_S: u64 = 3 * 86_400;

#[derive(Debug, Default)]
pub(super) struct Late {
    held: BTreeMap<(UtcTime, u64), SimMessage>,
    seen: u64,
}

impl Late {
    /// What arrives before `to` when `messages` were sent before it.
    pub(super) fn pass(&mut self, to: UtcTime, messages: Vec<SimMessage>) -> Vec<SimMessage> {
        let mut out = Vec::with_capacity(messages.len());
        for mut message in messages {
            self.seen += 1;
            let lot = mix(self.seen);
            // Heartbeats have no data that could come late.
            if message.reads == 0 || !lot.is_multiple_of(ONE_IN) {
                out.push(message);
                continue;
            }
            let late_s = i64::try_from(lot / ONE_IN % LONGEST_S).unwrap_or(0);
            message.sent_at = message.sent_at.plus_seconds(late_s);
            self.held.insert((message.sent_at, self.seen), message);
        }
        while let Some(first) = self.held.first_entry().filter(|first| first.key().0 < to) {
            out.push(first.remove());
        }
        out.sort_by(|a, b| (a.sent_at, &a.topic).cmp(&(b.sent_at, &b.topic)));
        out
    }
}

const fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 32;
    x = x.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x ^ x >> 32
}
