//! The counters of ingest and of the broker connection, under their names.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocols::mqtt::MqttStats;

use super::sampled::Sample;
use crate::ingest::stats::IngestStats;

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn flag(flag: &AtomicBool) -> i64 {
    i64::from(flag.load(Ordering::Relaxed))
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn of_ingest(adapter: &'static str, stats: &IngestStats) -> Vec<Sample> {
    let (offered, dead) = (get(&stats.offered), get(&stats.dead));
    // The counters of a batch are added one by one; only a settled sum can be wrong.
    let mismatch = if stats.reconciles() || stats.reconciles() {
        0
    } else {
        let parts = [&stats.inserted, &stats.duplicate, &stats.conflicting, &stats.dead];
        let accounted: u64 = parts.into_iter().map(get).sum();
        i64::try_from(get(&stats.offered).abs_diff(accounted)).unwrap_or(i64::MAX)
    };
    let last_commit = stats.last_commit().map_or(0, metering::UtcTime::seconds);
    let in_flight = i64::try_from(get(&stats.in_flight)).unwrap_or(i64::MAX);
    let of = |name, counter| Sample::counter(name, [adapter], get(counter));
    let decoded = offered.saturating_sub(dead);
    vec![
        Sample::counter("ami_reads_received_total", [adapter, "decoded"], decoded),
        Sample::counter("ami_reads_received_total", [adapter, "refused"], dead),
        of("ami_reads_committed_total", &stats.inserted),
        of("ami_reads_duplicate_total", &stats.duplicate),
        of("ami_reads_conflicting_total", &stats.conflicting),
        of("ami_reads_deadlettered_total", &stats.dead),
        of("ami_reads_derived_total", &stats.derived),
        of("ami_reads_unmapped_total", &stats.unmapped),
        Sample::gauge("ami_reconciliation_mismatch", [adapter], mismatch),
        of("ami_messages_total", &stats.messages),
        Sample::gauge("ami_messages_in_flight", [adapter], in_flight),
        of("ami_messages_poisoned_total", &stats.poisoned),
        of("ami_events_total", &stats.events),
        of("ami_batches_total", &stats.batches),
        Sample::gauge("ami_last_commit_timestamp_seconds", [adapter], last_commit),
        Sample::durations("ami_ack_latency_seconds", [adapter], stats.ack_latency.counts()),
        Sample::gauge("ami_store_available", [adapter], i64::from(!stats.is_store_away())),
        of("ami_store_retries_total", &stats.retries),
        of("ami_dlq_replayed_total", &stats.replayed),
    ]
}

pub(super) fn of_mqtt(stats: &MqttStats) -> Vec<Sample> {
    let of = |name, counter| Sample::counter(name, [], get(counter));
    let queue_len = count(stats.queue_len.load(Ordering::Relaxed));
    let stale = get(&stats.ack_refused_stale);
    vec![
        Sample::gauge("ami_broker_connected", [], flag(&stats.connected)),
        Sample::gauge("ami_broker_subscribed", [], flag(&stats.subscribed)),
        of("ami_broker_reconnects_total", &stats.reconnects),
        of("ami_broker_possible_gaps_total", &stats.possible_gaps),
        of("ami_broker_messages_total", &stats.received),
        of("ami_broker_redelivered_total", &stats.redelivered),
        of("ami_broker_dropped_qos0_total", &stats.dropped_qos0),
        of("ami_acks_total", &stats.acked),
        Sample::counter("ami_ack_refused_total", ["stale_connection"], stale),
        of("ami_ackguard_dropped_total", &stats.guards_dropped),
        Sample::gauge("ami_input_queue_messages", ["mqtt"], queue_len),
        Sample::counter("ami_input_queue_full_total", ["mqtt"], get(&stats.queue_full)),
    ]
}
