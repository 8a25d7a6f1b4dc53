//! Events: one struct for each thing that an operator would ask about. Recording one writes the
//! log line and moves the counters, so that neither is forgotten.

use std::error::Error;
use std::time::Duration;

use store::{StoreError, Stored};
use tracing::{debug, error, info, warn};

use super::Telemetry;

/// Something that happened.
pub trait Event {
    fn record(self, telemetry: &Telemetry);
}

/// A batch is stored; its messages may be acknowledged.
#[derive(Debug)]
pub struct BatchStored<'a> {
    pub adapter: &'a str,
    pub messages: u64,
    pub stored: &'a Stored,
    /// From BEGIN to the answer of COMMIT.
    pub took: Duration,
}

impl Event for BatchStored<'_> {
    fn record(self, telemetry: &Telemetry) {
        let Self { adapter, messages, stored, took } = self;
        telemetry.messages_received_total.with_label_values(&[adapter]).inc_by(messages);
        telemetry.count_stored(adapter, stored, took);
        debug!(
            adapter,
            messages,
            offered = stored.offered,
            inserted = stored.inserted,
            duplicate = stored.duplicate,
            conflicting = stored.conflicting,
            dead = stored.dead,
            duration_ms = millis(took),
            "Stored a batch of {} readings from {messages} messages.",
            stored.offered
        );
    }
}

/// A message was acknowledged to its sender, after COMMIT.
#[derive(Debug)]
pub struct Acknowledged<'a> {
    pub adapter: &'a str,
    /// From the socket to the acknowledgement.
    pub latency: Duration,
}

impl Event for Acknowledged<'_> {
    fn record(self, telemetry: &Telemetry) {
        telemetry.acks_total.with_label_values(&[self.adapter]).inc();
        let latency = telemetry.ack_latency_seconds.with_label_values(&[self.adapter]);
        latency.observe(self.latency.as_secs_f64());
    }
}

/// A message could not become readings and is kept as a dead letter.
#[derive(Debug)]
pub struct DeadLettered<'a> {
    pub adapter: &'a str,
    pub topic: &'a str,
    /// Stable word of the reason.
    pub reason: &'a str,
    pub detail: &'a str,
    pub size_bytes: usize,
}

impl Event for DeadLettered<'_> {
    fn record(self, _: &Telemetry) {
        // Topic and detail come from the sender. The message names the reason only, so that a
        // flood of one kind is one line in ten seconds.
        warn!(
            adapter = self.adapter,
            topic = self.topic,
            reason = self.reason,
            detail = self.detail,
            size_bytes = self.size_bytes,
            "Kept a message as a dead letter: {}.",
            self.reason
        );
    }
}

/// The store did not take a batch.
#[derive(Debug)]
pub struct StoreFailed<'a> {
    pub adapter: &'a str,
    pub error: &'a StoreError,
    /// How long until the next attempt.
    pub retry_in: Duration,
}

impl Event for StoreFailed<'_> {
    fn record(self, telemetry: &Telemetry) {
        let transient = self.error.is_transient();
        let outcome = if transient { "transient" } else { "permanent" };
        telemetry.store_errors_total.with_label_values(&[outcome]).inc();
        error!(
            adapter = self.adapter,
            reason = %chain(self.error),
            outcome,
            retry_ms = millis(self.retry_in),
            "The store did not take a batch; nothing of it is acknowledged."
        );
    }
}

/// The store takes batches again.
#[derive(Debug)]
pub struct StoreRecovered {
    pub after: Duration,
}

impl Event for StoreRecovered {
    fn record(self, _: &Telemetry) {
        info!(duration_ms = millis(self.after), "The store takes batches again.");
    }
}

/// Counts that must agree do not.
#[derive(Debug)]
pub struct ReconciliationBroken {
    pub received: u64,
    pub accounted: u64,
}

impl Event for ReconciliationBroken {
    fn record(self, telemetry: &Telemetry) {
        let (received, accounted) = (self.received, self.accounted);
        let mismatch = i64::try_from(received.abs_diff(accounted)).unwrap_or(i64::MAX);
        telemetry.reconciliation_mismatch.set(mismatch);
        error!(received, accounted, mismatch, "Readings received and accounted for differ.");
    }
}

/// A rule raised an alert.
#[derive(Debug)]
pub struct AlertRaised<'a> {
    pub rule: &'a str,
    pub subject: &'a str,
}

impl Event for AlertRaised<'_> {
    fn record(self, telemetry: &Telemetry) {
        telemetry.alerts_raised_total.with_label_values(&[self.rule]).inc();
        debug!(rule = self.rule, subject = self.subject, "Rule {} raised an alert.", self.rule);
    }
}

/// A meter issue was opened, moved or closed.
#[derive(Debug)]
pub struct IssueMoved<'a> {
    pub number: i64,
    pub cause: &'a str,
    pub state: &'a str,
    pub subject: &'a str,
}

impl Event for IssueMoved<'_> {
    fn record(self, _: &Telemetry) {
        let Self { number, cause, state, subject } = self;
        info!(issue = number, cause, state, subject, "Issue {number} is {state}: {cause}.");
    }
}

/// A background job failed; it is tried again at its next turn.
#[derive(Debug)]
pub struct JobFailed<'a> {
    pub job: &'a str,
    pub error: &'a (dyn Error + 'static),
}

impl Event for JobFailed<'_> {
    fn record(self, _: &Telemetry) {
        error!(job = self.job, reason = %chain(self.error), "The job {} failed.", self.job);
    }
}

/// An error with everything behind it, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
