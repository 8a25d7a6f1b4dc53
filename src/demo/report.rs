//! What a run of the demo proves: the truth of the simulated fleet beside what was stored and found.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest, Sha256};
use simulators::{Fault, SubjectName, Truth};
use store::report::IssueFact;

/// An alert that comes this long after the end of a fault still counts for it, in seconds.
const GRACE_S: i64 = 86_400;

/// The file that `--report` writes. Later versions add keys and rename none.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) meters: u32,
    /// Values that the simulated meters sent.
    pub(super) offered: u64,
    pub(super) committed: i64,
    pub(super) duplicate: i64,
    pub(super) conflicting: i64,
    pub(super) dead_lettered: i64,
    /// `offered = committed + duplicate + conflicting + dead_lettered`.
    pub(super) identity_ok: bool,
    pub(super) messages: u64,
    pub(super) faults: Vec<FaultLine>,
    pub(super) false_issues: Vec<FalseIssue>,
    pub(super) hard_negatives: usize,
    pub(super) ack_latency_ms: AckLatency,
    pub(super) console_ready_s: f64,
    pub(super) backfill_s: f64,
    /// Of all intervals, registers and events, without arrival times.
    pub(super) data_hash: String,
    /// Of all issues with their causes, states and instants.
    pub(super) issues_hash: String,
}

/// A planned fault and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct FaultLine {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) onset: String,
    pub(super) live: bool,
    pub(super) found: bool,
    pub(super) issue: Option<i64>,
    pub(super) cause: Option<String>,
    /// Simulated seconds from onset to detection.
    pub(super) detected_after_s: Option<i64>,
}

/// An issue that no fault explains.
#[derive(Debug, Serialize)]
pub(super) struct FalseIssue {
    pub(super) issue: i64,
    pub(super) subject: String,
    pub(super) cause: String,
    pub(super) state: String,
    pub(super) detected_at: String,
    /// `hard negative: ...`, `duplicate of ...` or `no fault`.
    pub(super) why: String,
}

#[derive(Debug, Serialize)]
pub(super) struct AckLatency {
    pub p50: f64,
    pub p99: f64,
}

/// What the head-end counted over the whole run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) offered: i64,
    pub(super) inserted: i64,
    pub(super) duplicate: i64,
    pub(super) conflicting: i64,
    pub(super) dead: i64,
}

/// What the run measured of itself.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) seed: u64,
    pub(super) meters: u32,
    pub(super) offered: u64,
    pub(super) messages: u64,
    pub(super) counts: Counts,
    pub ack_p50: Duration,
    pub ack_p99: Duration,
    pub(super) console_ready: Duration,
    pub(super) backfill: Duration,
    pub(super) data_hash: String,
}

impl Report {
    pub(super) fn new(measured: Measured, truth: &Truth, issues: &[IssueFact]) -> Self {
        let (faults, used) = find_faults(truth, issues);
        let counts = measured.counts;
        let sum = counts.inserted + counts.duplicate + counts.conflicting + counts.dead;
        let offered = i64::try_from(measured.offered).unwrap_or(i64::MAX);
        Self {
            seed: measured.seed,
            meters: measured.meters,
            offered: measured.offered,
            committed: counts.inserted,
            duplicate: counts.duplicate,
            conflicting: counts.conflicting,
            dead_lettered: counts.dead,
            identity_ok: offered == sum && counts.offered == sum,
            messages: measured.messages,
            faults,
            false_issues: false_issues(truth, issues, &used),
            hard_negatives: truth.hard_negatives.len(),
            ack_latency_ms: AckLatency {
                p50: measured.ack_p50.as_secs_f64() * 1e3,
                p99: measured.ack_p99.as_secs_f64() * 1e3,
            },
            console_ready_s: measured.console_ready.as_secs_f64(),
            backfill_s: measured.backfill.as_secs_f64(),
            data_hash: measured.data_hash,
            issues_hash: issues_hash(issues),
        }
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("write the report as JSON")?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("write the report to {}", path.display()))
    }

    pub(super) fn found(&self) -> usize {
        self.faults.iter().filter(|fault| fault.found).count()
    }
}

/// One issue for each fault, and the numbers of the issues that were used.
fn find_faults(truth: &Truth, issues: &[IssueFact]) -> (Vec<FaultLine>, BTreeSet<i64>) {
    let mut used = BTreeSet::new();
    let mut lines = Vec::new();
    for fault in &truth.faults {
        let answer = issues.iter().find(|issue| {
            concerns(fault, issue)
                && fault.is_answered_by(&issue.cause)
                && !used.contains(&issue.number)
        });
        used.extend(answer.map(|issue| issue.number));
        lines.push(FaultLine {
            kind: fault.kind.name(),
            subject: fault.subject.name().to_owned(),
            onset: fault.onset.to_string(),
            live: fault.live,
            found: answer.is_some(),
            issue: answer.map(|issue| issue.number),
            cause: answer.map(|issue| issue.cause.clone()),
            detected_after_s: answer.map(|issue| issue.detected_at.seconds_since(fault.onset)),
        });
    }
    (lines, used)
}

/// The issue is on the fault's subject, and was found in the fault's time.
fn concerns(fault: &Fault, issue: &IssueFact) -> bool {
    let subject = match &fault.subject {
        SubjectName::Fleet => true,
        SubjectName::Meter(name) => issue.subject_kind == "meter" && issue.subject == *name,
        SubjectName::Collector(name) => issue.subject_kind == "collector" && issue.subject == *name,
    };
    let in_time = fault.end.is_none_or(|end| issue.detected_at <= end.plus_seconds(GRACE_S));
    subject && issue.detected_at >= fault.onset && in_time
}

fn false_issues(truth: &Truth, issues: &[IssueFact], used: &BTreeSet<i64>) -> Vec<FalseIssue> {
    issues
        .iter()
        .filter(|issue| !used.contains(&issue.number) && !issue.suppressed)
        // The book of gaps that estimation filled: closed records that nobody is told of.
        .filter(|issue| issue.cause != "DATA_GAP")
        .filter_map(|issue| {
            let why = why_false(truth, issue)?;
            Some(FalseIssue {
                issue: issue.number,
                subject: issue.subject.clone(),
                cause: issue.cause.clone(),
                state: issue.state.clone(),
                detected_at: issue.detected_at.to_string(),
                why,
            })
        })
        .collect()
}

/// `None`: a fault brings this issue with it.
fn why_false(truth: &Truth, issue: &IssueFact) -> Option<String> {
    let concerned = || truth.faults.iter().filter(|fault| concerns(fault, issue));
    if let Some(fault) = concerned().find(|fault| fault.is_answered_by(&issue.cause)) {
        return Some(format!("duplicate of {} {}", fault.kind, fault.subject));
    }
    if concerned().any(|fault| fault.explains(&issue.cause)) {
        return None;
    }
    let negative = truth.hard_negatives.iter().find(|negative| {
        let grace = negative.to.plus_seconds(GRACE_S);
        negative.subject.name() == issue.subject
            && issue.detected_at >= negative.from
            && issue.detected_at <= grace
    });
    Some(match negative {
        Some(negative) => format!("hard negative: {}", negative.kind),
        None => "no fault".to_owned(),
    })
}

fn issues_hash(issues: &[IssueFact]) -> String {
    let mut lines: Vec<String> = issues
        .iter()
        .map(|issue| {
            format!(
                "{} {} {} {} P{} {} {} {}",
                issue.subject_kind,
                issue.subject,
                issue.family,
                issue.cause,
                issue.severity,
                issue.state,
                issue.condition_start,
                issue.detected_at
            )
        })
        .collect();
    lines.sort_unstable();
    let digest = Sha256::digest(lines.join("\n").as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
