//! A collector and its connection.

use metering::UtcTime;

use crate::usage::Span;

/// Heartbeats are due this often, in seconds.
pub(crate) const HEARTBEAT_S: i64 = 600;

/// A collector: forwards batches and telegrams and says that it is alive.
#[derive(Clone, Debug)]
pub(crate) struct SimCollector {
    pub(crate) code: String,
    /// Seconds after each multiple of [`HEARTBEAT_S`].
    pub(crate) heartbeat_phase_s: i64,
    /// Seconds after each quarter hour.
    pub(crate) batch_phase_s: i64,
    /// Its clock minus the true time, in microseconds.
    pub(crate) clock_offset_us: i64,
    /// While it is down, telegrams are lost and batches wait.
    pub(crate) outages: Vec<Span>,
}

impl SimCollector {
    pub(crate) fn is_down(&self, at: UtcTime) -> bool {
        self.outages.iter().any(|outage| outage.contains(at))
    }
}
