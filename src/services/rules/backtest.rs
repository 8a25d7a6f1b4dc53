//! What a bundle would have said of the past, beside what the active one would have.

use std::collections::{BTreeMap, BTreeSet};

use alerts::{AlertTransition, Engine, Params, TransitionKind};
use metering::{LogRecord, LoggedFrame, RuleBundle, Severity, Subject, UtcTime};
use store::rules::history;
use store::{Database, StoreError};

use super::feed::Feed;
use super::trials::Progress;

/// Days before the range that only teach the rules: the longest look back of the daily rules.
pub const WARM_UP_DAYS: i64 = 56;
const HOUR_S: i64 = 3_600;
/// More annunciated alerts than this in ten minutes are a flood (`metering-rules` 3).
const FLOOD_ALERTS: usize = 10;
const FLOOD_S: i64 = 600;
const TOP: usize = 10;

/// What one bundle said in the range.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Said {
    pub version: String,
    /// Annunciated alerts by severity, P1 first.
    pub by_severity: [u64; 4],
    /// For the record only.
    pub record_only: u64,
    /// Said by rules in shadow mode.
    pub shadow: u64,
    pub retracted: u64,
    pub by_rule: BTreeMap<&'static str, u64>,
    /// Windows of ten minutes with a flood, of all windows of the range.
    pub flood_windows: u64,
    pub windows: u64,
    /// Meters with most annunciated alerts, most first.
    pub top: Vec<(Subject, u64)>,
    /// Rule, subject and start of what was annunciated.
    alerts: BTreeSet<(&'static str, Subject, UtcTime)>,
}

/// Both sides.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub from: UtcTime,
    /// The end of what was covered.
    pub to: UtcTime,
    /// The end that was asked for; later than `to` when it was stopped.
    pub asked_to: UtcTime,
    /// From here on there were readings to learn from.
    pub learned_from: UtcTime,
    pub candidate: Said,
    pub active: Said,
    /// Alerts that both say.
    pub both: usize,
    pub only_candidate: usize,
    pub only_active: usize,
}

impl Said {
    pub fn annunciated(&self) -> u64 {
        self.by_severity.iter().sum()
    }
}

/// One engine under trial.
struct Trial {
    engine: Engine,
    said: Said,
    times: Vec<i64>,
    subjects: BTreeMap<Subject, u64>,
}

impl Trial {
    fn new(version: &str) -> Self {
        Self {
            engine: Engine::new(Params::default()),
            said: Said { version: version.to_owned(), ..Said::default() },
            times: Vec::new(),
            subjects: BTreeMap::new(),
        }
    }

    fn apply(&mut self, frame: &LoggedFrame, from: UtcTime) {
        let mut out = Vec::new();
        self.engine.apply(frame, &mut out);
        let shadow = self.engine.take_shadow();
        if frame.log_time < from {
            return;
        }
        let raised = |one: &&AlertTransition| one.kind == TransitionKind::Raised;
        self.said.shadow += shadow.iter().filter(raised).count() as u64;
        for one in &out {
            self.count(one);
        }
    }

    fn count(&mut self, one: &AlertTransition) {
        match one.kind {
            TransitionKind::Retracted => self.said.retracted += 1,
            TransitionKind::Cleared => {}
            TransitionKind::Raised if !one.annunciate => self.said.record_only += 1,
            TransitionKind::Raised | TransitionKind::Updated => {
                let key = (one.rule.name, one.subject, one.condition_start);
                if !one.annunciate || one.parent.is_some() || !self.said.alerts.insert(key) {
                    return;
                }
                let at = match one.severity {
                    Severity::P1 => 0,
                    Severity::P2 => 1,
                    Severity::P3 => 2,
                    Severity::P4 => 3,
                };
                self.said.by_severity[at] += 1;
                *self.said.by_rule.entry(one.rule.name).or_default() += 1;
                *self.subjects.entry(one.subject).or_default() += 1;
                self.times.push(one.at.seconds());
            }
        }
    }

    fn finish(mut self, (from, to): (UtcTime, UtcTime)) -> Said {
        let mut windows: BTreeMap<i64, usize> = BTreeMap::new();
        for at in &self.times {
            *windows.entry(at.div_euclid(FLOOD_S)).or_default() += 1;
        }
        self.said.flood_windows =
            windows.values().filter(|count| **count > FLOOD_ALERTS).count() as u64;
        self.said.windows = u64::try_from(to.seconds_since(from) / FLOOD_S).unwrap_or(0).max(1);
        let mut top: Vec<(Subject, u64)> = self.subjects.into_iter().collect();
        top.sort_by_key(|(subject, count)| (std::cmp::Reverse(*count), *subject));
        top.truncate(TOP);
        self.said.top = top;
        self.said
    }
}

/// A version and its text; an empty text is the built-in rules.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    pub version: &'a str,
    pub text: &'a str,
}

/// Runs two bundles over the stored readings of `[from, to)`, after [`WARM_UP_DAYS`] that only
/// teach; stopped by `progress`, over what was covered by then. Readings come as if each had
/// arrived when it was measured; who was heard through which collector is not stored.
///
/// # Errors
/// The database is away.
pub async fn run(
    database: &Database,
    (candidate, active): (Version<'_>, Version<'_>),
    (from, to): (UtcTime, UtcTime),
    progress: &Progress,
) -> Result<Report, StoreError> {
    let stored = history::range(database).await?;
    let warm_up = UtcTime::from_seconds(from.seconds() - WARM_UP_DAYS * 86_400);
    let first = stored.map_or(from, |(first, _)| first.max(warm_up).min(from));
    let mut trials = Trials::new(candidate, active, from);
    let mut feed = Feed::default();
    trials.start(first, &mut feed, history::fleet(database).await?);
    let mut at = UtcTime::from_seconds(first.seconds().div_euclid(HOUR_S) * HOUR_S);
    let mut telling = history::Telling::new(history::Order::Measured);
    progress.begin(at);
    while at < to && !progress.is_stopped() {
        let next = UtcTime::from_seconds(at.seconds() + HOUR_S);
        let past = telling.window(database, (at, next)).await?;
        feed.stretch(past, (at, next), |frame| trials.apply(frame));
        at = next;
        progress.reach(at);
        // An hour of a large fleet is long: pages are served in between.
        tokio::task::yield_now().await;
    }
    Ok(trials.report(first, at.min(to), to))
}

/// Both engines, which are given the same frames.
struct Trials {
    candidate: Trial,
    active: Trial,
    from: UtcTime,
    rules: [RuleBundle; 2],
}

impl Trials {
    fn new(candidate: Version<'_>, active: Version<'_>, from: UtcTime) -> Self {
        let bundle = |of: Version<'_>| RuleBundle {
            version: of.version.to_owned(),
            text: of.text.to_owned(),
        };
        Self {
            candidate: Trial::new(candidate.version),
            active: Trial::new(active.version),
            from,
            rules: [bundle(candidate), bundle(active)],
        }
    }

    fn start(&mut self, at: UtcTime, feed: &mut Feed, fleet: Vec<LogRecord>) {
        let [candidate, active] = &self.rules;
        let rules = |bundle: &RuleBundle| vec![LogRecord::Rules(Box::new(bundle.clone()))];
        if let Some(mut frame) = feed.frame(at, rules(candidate)) {
            self.candidate.apply(&frame, self.from);
            frame.records = rules(active);
            self.active.apply(&frame, self.from);
        }
        if let Some(frame) = feed.frame(at, fleet) {
            self.apply(&frame);
        }
    }

    fn apply(&mut self, frame: &LoggedFrame) {
        self.candidate.apply(frame, self.from);
        self.active.apply(frame, self.from);
    }

    fn report(self, learned_from: UtcTime, covered_to: UtcTime, asked_to: UtcTime) -> Report {
        let to = covered_to.max(self.from);
        let range = (self.from, to);
        let (candidate, active) = (self.candidate.finish(range), self.active.finish(range));
        let both = candidate.alerts.intersection(&active.alerts).count();
        Report {
            from: self.from,
            to,
            asked_to,
            learned_from,
            both,
            only_candidate: candidate.alerts.len() - both,
            only_active: active.alerts.len() - both,
            candidate,
            active,
        }
    }
}
