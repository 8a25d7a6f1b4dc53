//! What an operator can watch: every metric, by name, and the log.
//!
//! Metrics stand at `/metrics` in Prometheus text. Names begin with `ami_`, units are base units,
//! counters end in `_total`. A meter id is never a label; labels take words of a closed list, so
//! that the number of series does not grow with the fleet. The whole list is [`METRICS`], and
//! `docs/metrics.md` says the same for people.
//!
//! Each part of the program counts for itself, in atomics that cost nothing ([`IngestStats`],
//! [`MqttStats`]); they are read when somebody asks. What only the database knows is shown as last
//! answered ([`Telemetry::show_fleet`]). [`log`] sets the log up.

use std::fmt;
use std::sync::Arc;

use prometheus::{Registry, TextEncoder};
use protocols::mqtt::MqttStats;
use store::views::fleet::FleetSummary;

use crate::ingest::stats::IngestStats;
use crate::polling::Watch;

mod fleet;
mod ingest;
pub mod log;
mod polls;
mod sampled;

use fleet::FleetState;
use sampled::{Sample, Sampled};

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub about: &'static str,
}

/// What a metric does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    Gauge,
    Histogram,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, kind, labels, about }
}

/// Every metric of the program.
#[rustfmt::skip] // one line each, as a table
pub const METRICS: &[Metric] = &[
    metric("ami_reads_received_total", Kind::Counter, &["adapter", "outcome"],
        "Readings offered by devices: decoded or refused."),
    metric("ami_reads_committed_total", Kind::Counter, &["adapter"],
        "New readings that are stored."),
    metric("ami_reads_duplicate_total", Kind::Counter, &["adapter"],
        "Readings that were stored already with the same value."),
    metric("ami_reads_conflicting_total", Kind::Counter, &["adapter"],
        "Readings whose key is stored with another value; both are kept."),
    metric("ami_reads_deadlettered_total", Kind::Counter, &["adapter"],
        "Readings in messages that became dead letters."),
    metric("ami_reads_derived_total", Kind::Counter, &["adapter"],
        "New intervals made from registers; not offered by a device."),
    metric("ami_reads_unmapped_total", Kind::Counter, &["adapter"],
        "Values of known meters in fields that no channel carries; not counted as readings."),
    metric("ami_reconciliation_mismatch", Kind::Gauge, &["adapter"],
        "Received less committed, duplicate, conflicting and dead-lettered; must be 0."),
    metric("ami_messages_total", Kind::Counter, &["adapter"],
        "Messages whose readings are committed."),
    metric("ami_messages_in_flight", Kind::Gauge, &["adapter"],
        "Messages received and not yet acknowledged."),
    metric("ami_messages_poisoned_total", Kind::Counter, &["adapter"],
        "Messages set aside because the store refused what they made."),
    metric("ami_events_total", Kind::Counter, &["adapter"],
        "New events of devices that are stored."),
    metric("ami_batches_total", Kind::Counter, &["adapter"],
        "Transactions committed."),
    metric("ami_last_commit_timestamp_seconds", Kind::Gauge, &["adapter"],
        "When a batch was last committed, in seconds since 1970; 0 before the first."),
    metric("ami_ack_latency_seconds", Kind::Histogram, &["adapter"],
        "From the socket to the acknowledgement, which follows COMMIT."),
    metric("ami_store_available", Kind::Gauge, &["adapter"],
        "0 while the store does not take batches; nothing is acknowledged then."),
    metric("ami_store_retries_total", Kind::Counter, &["adapter"],
        "Times that a batch was tried again because the store was away."),
    metric("ami_dlq_replayed_total", Kind::Counter, &["adapter"],
        "Dead letters that became readings later."),
    metric("ami_broker_connected", Kind::Gauge, &[],
        "1 while the broker is connected."),
    metric("ami_broker_subscribed", Kind::Gauge, &[],
        "1 while all subscriptions are granted."),
    metric("ami_broker_reconnects_total", Kind::Counter, &[],
        "Connections lost or refused."),
    metric("ami_broker_possible_gaps_total", Kind::Counter, &[],
        "Connections on which the broker had lost our session: messages may be missing."),
    metric("ami_broker_messages_total", Kind::Counter, &[],
        "Messages received from the broker, repeats included."),
    metric("ami_broker_redelivered_total", Kind::Counter, &[],
        "Messages that the broker sent again."),
    metric("ami_broker_dropped_qos0_total", Kind::Counter, &[],
        "QoS 0 messages dropped because the queue was full; send with QoS 1."),
    metric("ami_acks_total", Kind::Counter, &[],
        "Acknowledgements handed to the connection."),
    metric("ami_ack_refused_total", Kind::Counter, &["reason"],
        "Acknowledgements not sent, since they belonged to an earlier connection."),
    metric("ami_ackguard_dropped_total", Kind::Counter, &[],
        "Messages that were forgotten without a decision; must stay 0."),
    metric("ami_input_queue_messages", Kind::Gauge, &["adapter"],
        "Messages that wait for ingest; reading stops when the queue is full."),
    metric("ami_input_queue_full_total", Kind::Counter, &["adapter"],
        "Times that reading stopped because the queue was full."),
    metric("ami_modbus_gateways", Kind::Gauge, &["state"],
        "Modbus gateways that are polled: connected or not."),
    metric("ami_modbus_units", Kind::Gauge, &["state"],
        "Modbus units that are polled, by how they are; `unreached`: their gateway refuses or answers for none."),
    metric("ami_modbus_polls_total", Kind::Counter, &[],
        "Polls of Modbus units that were read to their end."),
    metric("ami_modbus_requests_total", Kind::Counter, &["outcome"],
        "Modbus requests: answered, refused by an exception, timed out, or answered by what is no answer to them."),
    metric("ami_modbus_connections_total", Kind::Counter, &["outcome"],
        "Connections to Modbus gateways; each fault on one is followed by a new one."),
    metric("ami_modbus_implausible_total", Kind::Counter, &[],
        "Modbus values that cannot be and were not kept."),
    metric("ami_rules_lag_records", Kind::Gauge, &[],
        "Records of the event log that the rules have not applied."),
    metric("ami_alerts_total", Kind::Counter, &[],
        "Alerts that rules raised, cleared or retracted."),
    metric("ami_meters", Kind::Gauge, &["state"],
        "Installed meters: reporting, or silent for three contact periods."),
    metric("ami_gap_open_intervals", Kind::Gauge, &[],
        "Intervals of the local day that were due and have not arrived."),
    metric("ami_issues_open", Kind::Gauge, &["severity"],
        "Open meter issues; those folded under another are not counted."),
    metric("ami_dlq_records", Kind::Gauge, &[],
        "Dead letters that wait, except those of devices to commission."),
    metric("ami_commissioning_devices", Kind::Gauge, &[],
        "Devices heard that nobody has provisioned."),
];

/// The metrics of one running head-end: what was handed to it is read at each scrape.
pub struct Telemetry {
    registry: Registry,
    fleet: Arc<FleetState>,
}

impl Telemetry {
    /// With what the database knows, all zeros until [`Telemetry::show_fleet`].
    ///
    /// # Errors
    /// When a metric is not in [`METRICS`], which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let telemetry = Self { registry: Registry::new(), fleet: Arc::default() };
        let fleet = Arc::clone(&telemetry.fleet);
        telemetry.add(move || fleet.samples())?;
        Ok(telemetry)
    }

    /// What the database knows, asked by the scrape handler and kept until the next answer.
    pub fn show_fleet(&self, summary: &FleetSummary) {
        self.fleet.set(summary.clone());
    }

    /// For a scrape handler: `registry().gather()` reads everything anew.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Prometheus text of everything.
    ///
    /// # Errors
    /// When a metric has no series, which does not happen here.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Shows the counters of ingest for one adapter. Once only.
    ///
    /// # Errors
    /// When it is done twice.
    pub fn watch_ingest(
        &self,
        adapter: &'static str,
        stats: Arc<IngestStats>,
    ) -> Result<(), prometheus::Error> {
        self.add(move || ingest::of_ingest(adapter, &stats))
    }

    /// Shows the counters of the broker connection. Once only.
    ///
    /// # Errors
    /// When it is done twice.
    pub fn watch_mqtt(&self, stats: Arc<MqttStats>) -> Result<(), prometheus::Error> {
        self.add(move || ingest::of_mqtt(&stats))
    }

    /// Shows the gateways that are polled. Once only.
    ///
    /// # Errors
    /// When it is done twice.
    pub fn watch_polls(&self, polls: Watch) -> Result<(), prometheus::Error> {
        self.add(move || polls::samples(&polls.gateways()))
    }

    /// Shows how far the rules are behind what `ingest` appended. `progress` gives the last record
    /// that the rules applied, and how many alerts they raised, cleared or retracted. Once only.
    ///
    /// # Errors
    /// When it is done twice.
    pub fn watch_rules(
        &self,
        progress: impl Fn() -> (i64, u64) + Send + Sync + 'static,
        ingest: Arc<IngestStats>,
    ) -> Result<(), prometheus::Error> {
        self.add(move || {
            let (seq, said) = progress();
            let lag = (ingest.last_seq() - seq).max(0);
            vec![
                Sample::gauge("ami_rules_lag_records", [], lag),
                Sample::counter("ami_alerts_total", [], said),
            ]
        })
    }

    fn add(
        &self,
        read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(Sampled::new(read)?))
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// An error with everything behind it, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
