//! The trials of a run, several at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use alerts::Params;
use anyhow::Context as _;
use simulators::{Trial, TrialKind, TrialSpec};

use super::progress::Progress;
use super::rig::{self, Outcome};

/// One trial.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) spec: TrialSpec,
    pub(super) params: Params,
    /// One message in twenty comes up to three days late.
    pub(super) shuffled: bool,
}

impl Job {
    fn label(&self) -> String {
        let kind = match self.spec.kind {
            TrialKind::Injected { .. } => "injected",
            TrialKind::Natural { .. } => "natural rates",
            TrialKind::Headend { .. } => "the head-end itself",
            TrialKind::Weather { .. } => "the weather",
            TrialKind::Long { .. } => "most of a year",
        };
        format!("seed {}, {kind}", self.spec.seed)
    }
}

/// Runs all, as many at a time as there are processors and one more; what comes of them does not
/// depend on it. In the order of `jobs`.
///
/// # Errors
/// A trial cannot be planned.
pub(super) fn run_all(jobs: &[Job], progress: &Progress) -> anyhow::Result<Vec<Outcome>> {
    let mut planned = 0;
    for job in jobs {
        let trial = Trial::new(job.spec.clone()).context("plan a trial")?;
        planned += trial.assets().meters.len() as u64 * u64::from(job.spec.days);
    }
    progress.plan(planned);
    let waiting: Mutex<VecDeque<(usize, &Job)>> = Mutex::new(jobs.iter().enumerate().collect());
    let done: Mutex<Vec<(usize, anyhow::Result<Outcome>)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    std::thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((at, job)) = next else { return };
                    let outcome = rig::run(job, &job.label(), progress);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
