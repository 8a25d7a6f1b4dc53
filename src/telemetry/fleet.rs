//! What only the database knows, as last answered.

use std::sync::{Mutex, PoisonError};

use store::views::fleet::FleetSummary;

use super::sampled::Sample;

/// The last answer; zeros before the first.
#[derive(Default, Debug)]
pub(super) struct FleetState {
    last: Mutex<Option<FleetSummary>>,
}

impl FleetState {
    pub(super) fn set(&self, summary: FleetSummary) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(summary);
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |read: fn(&FleetSummary) -> i64| last.as_ref().map_or(0, read);
        vec![
            Sample::gauge("ami_meters", ["reporting"], of(|fleet| fleet.reporting)),
            Sample::gauge("ami_meters", ["silent"], of(|fleet| fleet.meters - fleet.reporting)),
            Sample::gauge("ami_gap_open_intervals", [], of(|fleet| fleet.missing_today)),
            Sample::gauge("ami_issues_open", ["p1"], of(|fleet| fleet.issues.p1)),
            Sample::gauge("ami_issues_open", ["p2"], of(|fleet| fleet.issues.p2)),
            Sample::gauge("ami_issues_open", ["p3"], of(|fleet| fleet.issues.p3)),
            Sample::gauge("ami_issues_open", ["p4"], of(|fleet| fleet.issues.p4)),
            Sample::gauge("ami_dlq_records", [], of(|fleet| fleet.waiting.dead_letters)),
            Sample::gauge("ami_commissioning_devices", [], of(|fleet| fleet.waiting.commissioning)),
        ]
    }
}
