//! The duty to acknowledge: each message's guard travels beside its bytes, and is resolved only
//! once the transaction that holds its readings has committed.

use protocols::mqtt::{AckGuard, RawFrame, Resolution, resolve_all};
use tokio::time::Instant;

use super::core::{Fate, Frame};
use super::stats::Latency;

/// The duties of one batch, in arrival order.
#[derive(Debug, Default)]
pub(super) struct Duties {
    guards: Vec<AckGuard>,
    arrived: Vec<Instant>,
}

impl Duties {
    /// Parts a message from its duty.
    pub(super) fn take(&mut self, raw: RawFrame) -> Frame {
        self.guards.push(raw.guard);
        self.arrived.push(raw.arrived);
        Frame {
            topic: raw.topic,
            payload: raw.payload,
            received_at: raw.received_at,
            redelivered: raw.redelivered,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.guards.len()
    }

    /// The messages are durable, each with its fate: tells the broker.
    pub(super) fn resolve(&mut self, fates: &[Fate], latency: &Latency) {
        let resolutions = fates.iter().map(|fate| match fate {
            Fate::Accepted | Fate::Partly => Resolution::Committed,
            Fate::DeadLettered => Resolution::DeadLettered,
            Fate::Empty => Resolution::Rejected,
        });
        resolve_all(self.guards.drain(..).zip(resolutions));
        for arrived in self.arrived.drain(..) {
            latency.record(arrived.elapsed());
        }
    }

    /// We stop without having stored them: they stay with the broker.
    pub(super) fn abandon(&mut self) {
        resolve_all(self.guards.drain(..).map(|guard| (guard, Resolution::Abandoned)));
        self.arrived.clear();
    }
}

impl Drop for Duties {
    /// A batch that dies with its task (shutdown, panic) leaves its messages with the broker.
    fn drop(&mut self) {
        self.abandon();
    }
}
