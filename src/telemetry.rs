//! What an operator can watch: every metric and every event, by name.
//!
//! Metrics stand at `/metrics` in Prometheus text. Names begin with `ami_`, units are base units,
//! counters end in `_total`. A meter id is never a label; labels take words of a closed list (an
//! adapter, a reason, a rule), so that the number of series does not grow with the fleet. The whole
//! list is [`METRICS`], and `docs/metrics.md` says the same for people.
//!
//! Events ([`events`]) are what happened, told once where it is handled: one struct each, that
//! writes the log line and moves the counters. [`log`] sets the log up.

use std::fmt;
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use store::Stored;

pub mod events;
pub mod log;

pub use events::Event;

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
    metric("ami_messages_received_total", Kind::Counter, &["adapter"], "Messages taken from the adapter."),
    metric("ami_reads_received_total", Kind::Counter, &["adapter", "outcome"], "Readings offered by devices: decoded or refused."),
    metric("ami_reads_committed_total", Kind::Counter, &["adapter"], "New readings that are stored."),
    metric("ami_reads_duplicate_total", Kind::Counter, &["adapter"], "Readings that were stored already with the same value."),
    metric("ami_reads_conflicting_total", Kind::Counter, &["adapter"], "Readings whose key is stored with another value; both are kept."),
    metric("ami_reads_deadlettered_total", Kind::Counter, &["adapter"], "Readings in messages that became dead letters."),
    metric("ami_reads_derived_total", Kind::Counter, &["adapter"], "Intervals made from registers; not offered by a device."),
    metric("ami_reads_in_flight", Kind::Gauge, &["adapter"], "Readings taken from the adapter and not yet committed."),
    metric("ami_reconciliation_mismatch", Kind::Gauge, &[], "Received less committed, duplicate, conflicting, dead-lettered and in flight; must be 0."),
    metric("ami_ack_latency_seconds", Kind::Histogram, &["adapter"], "From the socket to the acknowledgement."),
    metric("ami_acks_total", Kind::Counter, &["adapter"], "Acknowledgements sent, each after COMMIT."),
    metric("ami_ack_refused_total", Kind::Counter, &["reason"], "Acknowledgements not sent: they belonged to an earlier connection."),
    metric("ami_ackguard_dropped_total", Kind::Counter, &[], "Messages that were forgotten without a decision; must stay 0."),
    metric("ami_batches_total", Kind::Counter, &["adapter"], "Transactions committed."),
    metric("ami_batch_rows", Kind::Histogram, &[], "Readings in a transaction."),
    metric("ami_commit_seconds", Kind::Histogram, &[], "Time that the store took for a transaction."),
    metric("ami_broker_connected", Kind::Gauge, &[], "1 while the broker is connected."),
    metric("ami_broker_reconnects_total", Kind::Counter, &[], "Connections made to the broker after the first."),
    metric("ami_broker_possible_gaps_total", Kind::Counter, &[], "Connections on which the broker had forgotten our session."),
    metric("ami_input_queue_messages", Kind::Gauge, &["adapter"], "Messages that wait for ingest; reading stops when the queue is full."),
    metric("ami_dlq_records", Kind::Gauge, &[], "Dead letters that were not replayed."),
    metric("ami_gap_open_intervals", Kind::Gauge, &[], "Intervals that were due and have not arrived."),
    metric("ami_issues_open", Kind::Gauge, &["severity"], "Open meter issues; children of a group not counted."),
    metric("ami_alerts_raised_total", Kind::Counter, &["rule"], "Alerts that rules raised."),
    metric("ami_rules_lag_records", Kind::Gauge, &[], "Records of the event log that the rules have not read."),
    metric("ami_store_errors_total", Kind::Counter, &["outcome"], "Failures of the store: transient ones are tried again, others halve the batch."),
];

const LATENCY_S: [f64; 13] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const ROWS: [f64; 9] = [1.0, 10.0, 100.0, 500.0, 1e3, 2e3, 5e3, 1e4, 1e5];

/// All metrics of one running head-end. Shared by `Arc`; every field may be used from any thread.
pub struct Telemetry {
    registry: Registry,
    pub messages_received_total: IntCounterVec,
    pub reads_received_total: IntCounterVec,
    pub reads_committed_total: IntCounterVec,
    pub reads_duplicate_total: IntCounterVec,
    pub reads_conflicting_total: IntCounterVec,
    pub reads_deadlettered_total: IntCounterVec,
    pub reads_derived_total: IntCounterVec,
    pub reads_in_flight: IntGaugeVec,
    pub reconciliation_mismatch: IntGauge,
    pub ack_latency_seconds: HistogramVec,
    pub acks_total: IntCounterVec,
    pub ack_refused_total: IntCounterVec,
    pub ackguard_dropped_total: IntCounter,
    pub batches_total: IntCounterVec,
    pub batch_rows: Histogram,
    pub commit_seconds: Histogram,
    pub broker_connected: IntGauge,
    pub broker_reconnects_total: IntCounter,
    pub broker_possible_gaps_total: IntCounter,
    pub input_queue_messages: IntGaugeVec,
    pub dlq_records: IntGauge,
    pub gap_open_intervals: IntGauge,
    pub issues_open: IntGaugeVec,
    pub alerts_raised_total: IntCounterVec,
    pub rules_lag_records: IntGauge,
    pub store_errors_total: IntCounterVec,
}

impl Telemetry {
    /// Registers every metric.
    ///
    /// # Errors
    /// Only when two metrics share a name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let make = Maker { registry: Registry::new() };
        Ok(Self {
            messages_received_total: make.counters("ami_messages_received_total")?,
            reads_received_total: make.counters("ami_reads_received_total")?,
            reads_committed_total: make.counters("ami_reads_committed_total")?,
            reads_duplicate_total: make.counters("ami_reads_duplicate_total")?,
            reads_conflicting_total: make.counters("ami_reads_conflicting_total")?,
            reads_deadlettered_total: make.counters("ami_reads_deadlettered_total")?,
            reads_derived_total: make.counters("ami_reads_derived_total")?,
            reads_in_flight: make.gauges("ami_reads_in_flight")?,
            reconciliation_mismatch: make.gauge("ami_reconciliation_mismatch")?,
            ack_latency_seconds: make.histograms("ami_ack_latency_seconds", &LATENCY_S)?,
            acks_total: make.counters("ami_acks_total")?,
            ack_refused_total: make.counters("ami_ack_refused_total")?,
            ackguard_dropped_total: make.counter("ami_ackguard_dropped_total")?,
            batches_total: make.counters("ami_batches_total")?,
            batch_rows: make.histogram("ami_batch_rows", &ROWS)?,
            commit_seconds: make.histogram("ami_commit_seconds", &LATENCY_S)?,
            broker_connected: make.gauge("ami_broker_connected")?,
            broker_reconnects_total: make.counter("ami_broker_reconnects_total")?,
            broker_possible_gaps_total: make.counter("ami_broker_possible_gaps_total")?,
            input_queue_messages: make.gauges("ami_input_queue_messages")?,
            dlq_records: make.gauge("ami_dlq_records")?,
            gap_open_intervals: make.gauge("ami_gap_open_intervals")?,
            issues_open: make.gauges("ami_issues_open")?,
            alerts_raised_total: make.counters("ami_alerts_raised_total")?,
            rules_lag_records: make.gauge("ami_rules_lag_records")?,
            store_errors_total: make.counters("ami_store_errors_total")?,
            registry: make.registry,
        })
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Prometheus text of everything.
    ///
    /// # Errors
    /// When a metric has no series of its own kind, which does not happen here.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Tells what happened: a log line, and the counters of the event.
    pub fn record(&self, event: impl Event) {
        event.record(self);
    }

    /// Counts a committed batch.
    pub(crate) fn count_stored(&self, adapter: &str, stored: &Stored, took: Duration) {
        let by = |counter: &IntCounterVec, count: u64| {
            counter.with_label_values(&[adapter]).inc_by(count);
        };
        let decoded = stored.offered.saturating_sub(stored.dead);
        self.reads_received_total.with_label_values(&[adapter, "decoded"]).inc_by(decoded);
        self.reads_received_total.with_label_values(&[adapter, "refused"]).inc_by(stored.dead);
        by(&self.reads_committed_total, stored.inserted);
        by(&self.reads_duplicate_total, stored.duplicate);
        by(&self.reads_conflicting_total, stored.conflicting);
        by(&self.reads_deadlettered_total, stored.dead);
        by(&self.reads_derived_total, stored.derived);
        by(&self.batches_total, 1);
        self.commit_seconds.observe(took.as_secs_f64());
        let rows = stored.offered + stored.derived;
        self.batch_rows.observe(f64::from(u32::try_from(rows).unwrap_or(u32::MAX)));
    }
}

/// Moves a counter to a total that is kept elsewhere; totals never go back.
pub fn raise_to(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// Makes metrics with the labels and the text of [`METRICS`].
struct Maker {
    registry: Registry,
}

impl Maker {
    fn entry(name: &str) -> Result<&'static Metric, prometheus::Error> {
        let found = METRICS.iter().find(|metric| metric.name == name);
        found.ok_or_else(|| prometheus::Error::Msg(format!("{name} is not in METRICS")))
    }

    fn counters(&self, name: &str) -> Result<IntCounterVec, prometheus::Error> {
        let entry = Self::entry(name)?;
        let made = IntCounterVec::new(Opts::new(name, entry.about), entry.labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str) -> Result<IntCounter, prometheus::Error> {
        let made = IntCounter::new(name, Self::entry(name)?.about)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str) -> Result<IntGaugeVec, prometheus::Error> {
        let entry = Self::entry(name)?;
        let made = IntGaugeVec::new(Opts::new(name, entry.about), entry.labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, Self::entry(name)?.about)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histograms(&self, name: &str, bounds: &[f64]) -> Result<HistogramVec, prometheus::Error> {
        let entry = Self::entry(name)?;
        let options = HistogramOpts::new(name, entry.about).buckets(bounds.to_vec());
        let made = HistogramVec::new(options, entry.labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(&self, name: &str, bounds: &[f64]) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::new(name, Self::entry(name)?.about).buckets(bounds.to_vec());
        let made = Histogram::with_opts(options)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests;
