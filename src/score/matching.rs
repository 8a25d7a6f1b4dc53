//! Which issue answers which fault (`metering-rules.md` 11.2): one to one, on the same subject, of
//! a
//! compatible family, between onset and end with a day of grace.

use std::collections::{BTreeMap, HashMap};

use alerts::{Cause, Family};
use metering::{Subject, UtcTime};
use simulators::TrialFault;

use super::book::Issue;
use super::fleet::Directory;
use super::rig::Outcome;

const DAY_S: i64 = 86_400;
const GRACE_S: i64 = DAY_S;
/// What a fault brings with it may come later than the fault's own answer.
const AFTER_S: i64 = 10 * DAY_S;

/// What became of one issue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The answer to this fault.
    Answers(usize),
    /// One more answer to this fault, or what it brings with it.
    Explained(usize),
    /// On a member of a failed collector or transformer, although the parent explains it.
    LeakThrough(usize),
    /// Nothing is wrong there.
    False,
}

/// What became of one fault.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) issue: Option<usize>,
    pub(super) at: Option<UtcTime>,
    /// When staff were told of it: the first answer that is an issue and not only a record.
    pub(super) told: Option<UtcTime>,
    /// Issues that staff were told of because of it: on its subject, its members (silence and
    /// power) and the head-end, the answer included.
    pub(super) issues: u32,
    pub(super) leaked: u32,
}

/// The matching of one trial.
#[derive(Debug)]
pub(super) struct Matching {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) found: Vec<Found>,
    /// Class of the look-alike behind a false issue.
    pub(super) classes: BTreeMap<usize, &'static str>,
}

struct Window {
    subjects: Vec<Subject>,
    members: Vec<Subject>,
    families: Vec<Family>,
    from: UtcTime,
    to: UtcTime,
}

/// Matches `issues` (of the rules, or of the naive thresholds) with the faults of the trial.
pub(super) fn matching(outcome: &Outcome, issues: &[Issue]) -> Matching {
    let mut by_subject: HashMap<Subject, Vec<usize>> = HashMap::new();
    for (at, issue) in issues.iter().enumerate() {
        by_subject.entry(issue.view.subject).or_default().push(at);
    }
    let mut verdicts = vec![Verdict::False; issues.len()];
    let mut found = Vec::with_capacity(outcome.faults.len());
    for (number, fault) in outcome.faults.iter().enumerate() {
        let window = Window::new(fault, &outcome.directory, outcome.end);
        found.push(answer(&window, fault, issues, (&by_subject, number, &mut verdicts)));
    }
    for (number, fault) in outcome.faults.iter().enumerate() {
        let window = Window::new(fault, &outcome.directory, outcome.end);
        explain(&window, fault, issues, (&by_subject, number, &mut verdicts));
    }
    for verdict in &verdicts {
        match verdict {
            Verdict::LeakThrough(fault) => found[*fault].leaked += 1,
            Verdict::Answers(_) | Verdict::Explained(_) | Verdict::False => {}
        }
    }
    for (fault, found) in outcome.faults.iter().zip(&mut found) {
        if !fault.members.is_empty() {
            let window = Window::new(fault, &outcome.directory, outcome.end);
            found.issues = window.told(issues, &by_subject);
        }
    }
    let classes = classes(outcome, issues, &verdicts);
    Matching { verdicts, found, classes }
}

impl Window {
    fn new(fault: &TrialFault, directory: &Directory, end: UtcTime) -> Self {
        let mut subjects = directory.subjects(&fault.subject);
        let own: Vec<Subject> =
            fault.members.iter().filter_map(|m| directory.meter(m)).map(Subject::Meter).collect();
        if subjects.len() > 1 {
            // A cohort is nobody's in particular: the head-end speaks for it.
            subjects.push(Subject::Headend);
        }
        let families = fault
            .scenario
            .causes
            .iter()
            .filter_map(|word| word.parse::<Cause>().ok()?.family())
            .collect();
        // A projection may be up to 90 days early.
        let from = if fault.scenario.name == "battery_projection" {
            fault.onset.plus_seconds(-90 * DAY_S)
        } else {
            fault.onset
        };
        let to = fault.end.map_or(end, |end| end.plus_seconds(GRACE_S));
        Self { subjects, members: own, families, from, to }
    }

    fn told(&self, issues: &[Issue], by_subject: &HashMap<Subject, Vec<usize>>) -> u32 {
        let own = self.subjects.iter().map(|subject| (subject, true));
        let others = self.members.iter().chain([&Subject::Headend]).map(|other| (other, false));
        let told = own.chain(others).flat_map(|(subject, own)| {
            let of = by_subject.get(subject).into_iter().flatten().map(|at| &issues[*at]);
            of.filter(move |issue| {
                let family = issue.view.family;
                let concerns = own || matches!(family, Family::Comm | Family::Power);
                let told = !issue.child && !issue.record_only;
                concerns && told && issue.seen_within(self.from, self.to).is_some()
            })
        });
        u32::try_from(told.count()).unwrap_or(u32::MAX)
    }

    fn is_compatible(&self, fault: &TrialFault, issue: &Issue) -> bool {
        self.families.contains(&issue.view.family)
            || issue.causes.iter().any(|(_, cause)| fault.scenario.is_answered_by(cause.word()))
    }
}

type Marks<'a> = (&'a HashMap<Subject, Vec<usize>>, usize, &'a mut Vec<Verdict>);

/// The earliest compatible issue; one with the right cause before others.
fn answer(
    window: &Window,
    fault: &TrialFault,
    issues: &[Issue],
    (by_subject, number, verdicts): Marks<'_>,
) -> Found {
    let mut best: Option<(bool, UtcTime, usize)> = None;
    let mut told = None;
    for at in window.subjects.iter().flat_map(|s| by_subject.get(s).into_iter().flatten()) {
        let issue = &issues[*at];
        if issue.withdrawn || verdicts[*at] != Verdict::False || !window.is_compatible(fault, issue)
        {
            continue;
        }
        let Some(seen) = issue.seen_within(window.from, window.to) else { continue };
        let right = issue.causes.iter().any(|(_, c)| fault.scenario.is_answered_by(c.word()));
        if !issue.record_only && !issue.child && told.is_none_or(|before| seen < before) {
            told = Some(seen);
        }
        let key = (!right, seen, *at);
        if best.is_none_or(|best| key < best) {
            best = Some(key);
        }
    }
    if let Some((_, _, at)) = best {
        verdicts[at] = Verdict::Answers(number);
    }
    Found {
        issue: best.map(|(_, _, at)| at),
        at: best.map(|(_, seen, _)| seen),
        told,
        issues: 0,
        leaked: 0,
    }
}

/// More answers to the same fault, and what it brings with it.
fn explain(
    window: &Window,
    fault: &TrialFault,
    issues: &[Issue],
    (by_subject, number, verdicts): Marks<'_>,
) {
    let to = window.to.plus_seconds(AFTER_S);
    let own = window.subjects.iter().map(|subject| (subject, true));
    let members = window.members.iter().map(|subject| (subject, false));
    for (subject, is_own) in own.chain(members) {
        for at in by_subject.get(subject).into_iter().flatten() {
            let issue = &issues[*at];
            let in_time = issue.seen_within(fault.onset, to).is_some();
            if verdicts[*at] != Verdict::False || !in_time {
                continue;
            }
            let known = issue.causes.iter().any(|(_, cause)| {
                // Days without usable data follow from most faults.
                *cause == Cause::DataGap || fault.scenario.explains(cause.word())
            });
            let silent = matches!(issue.view.family, Family::Comm | Family::Power);
            if issue.child || known || (is_own && window.is_compatible(fault, issue)) {
                verdicts[*at] = Verdict::Explained(number);
            } else if !is_own && silent && issue.seen_within(fault.onset, window.to).is_some() {
                verdicts[*at] = Verdict::LeakThrough(number);
            }
        }
    }
}

fn classes(
    outcome: &Outcome,
    issues: &[Issue],
    verdicts: &[Verdict],
) -> BTreeMap<usize, &'static str> {
    let mut classes = BTreeMap::new();
    for negative in &outcome.negatives {
        let subjects = outcome.directory.subjects(&negative.subject);
        let to = negative.to.plus_seconds(3 * DAY_S);
        for (at, issue) in issues.iter().enumerate() {
            let on_it = subjects.is_empty() || subjects.contains(&issue.view.subject);
            let in_time = negative.from <= issue.detected_at && issue.detected_at <= to;
            if verdicts[at] == Verdict::False && on_it && in_time {
                classes.entry(at).or_insert(negative.class);
            }
        }
    }
    classes
}
