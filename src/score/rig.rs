//! A trial through the pipeline: bytes, decoding, the ingest core of the running program, tables in
//! memory, day close, event log, rules, issues. Log time is simulated; nothing reads a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc;

use alerts::manage::{Desk, DeskParams, Said};
use alerts::{AlertTransition, Engine, Params, TransitionKind};
use anyhow::Context as _;
use bytes::Bytes;
use metering::{
    LocalCalendar, LogRecord, LoggedFrame, MeterAsset, MeterId, Subject, UtcTime, WorkOrder,
    WorkOrderKind, WorkOrderStatus,
};
use protocols::Format;
use sha2::{Digest, Sha256};
use simulators::{
    SimMessage, TimedAct, Trial, TrialAct, TrialFault, TrialKind, TrialNegative, TrialSpec,
};

use super::book::{Book, Issue};
use super::close::DayCloser;
use super::fleet::Directory;
use super::harm::BillingHarm;
use super::jobs::Job;
use super::late::Late;
use super::naive::Naive;
use super::progress::Progress;
use super::table::{self, Table};
use crate::ingest::{Frame, IngestCore, Registry, Route};

/// Simulated time of one call to the fleet, and of one batch of messages.
pub(super) const STEP_S: i64 = 3 * 3_600;
pub(super) const BATCH_S: i64 = 300;
/// Messages arrive so long after they were sent.
const WAY_S: i64 = 1;
const FRAME_RECORDS: usize = store::frame::RECORDS_MAX;
const DUE_EVERY_S: i64 = 3_600;
/// Steps that the fleet may be ahead of the pipeline.
const AHEAD: usize = 2;

/// What came of a trial.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) directory: Directory,
    pub(super) faults: Vec<TrialFault>,
    pub(super) negatives: Vec<TrialNegative>,
    pub(super) issues: Vec<Issue>,
    pub(super) naive: Vec<Issue>,
    pub(super) raised: u64,
    pub(super) readings: u64,
    pub(super) dead: u64,
    pub(super) meters: u64,
    pub(super) end: UtcTime,
    pub(super) meter_days: u64,
    /// SHA-256 of everything that the rules said, in order.
    pub(super) alerts_sha256: String,
    pub(super) load: Load,
    pub(super) harm: BillingHarm,
    /// Identities of the alerts that were raised and not withdrawn.
    pub(super) identities: BTreeSet<String>,
    /// The fleet has its faults at natural rates.
    pub(super) natural: bool,
}

/// What the one operator of a trial is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    pub(super) announcements: u64,
    /// Windows of ten minutes, and those of them in flood.
    pub(super) windows: u64,
    pub(super) floods: u64,
    /// Announcements of each day.
    pub(super) days: BTreeMap<i64, u64>,
}

/// Everything between messages and issues.
pub(super) struct Rig {
    core: IngestCore,
    table: Table,
    closer: DayCloser,
    engine: Engine,
    book: Book,
    naive: Naive,
    meters: Vec<MeterAsset>,
    places: HashMap<MeterId, usize>,
    newest: HashMap<MeterId, UtcTime>,
    next_seq: i64,
    due_at: UtcTime,
    said: Vec<AlertTransition>,
    hash: Sha256,
    desk: Desk,
    load: Load,
    dead: u64,
    orders: i64,
    identities: BTreeSet<String>,
}

/// Runs the trial. The fleet lives on a thread of its own.
///
/// # Errors
/// The specification cannot be simulated.
pub(super) fn run(job: &Job, label: &str, progress: &Progress) -> anyhow::Result<Outcome> {
    let trial = Trial::new(job.spec.clone()).context("plan the trial")?;
    let directory = Directory::new(trial.assets())?;
    let (start, end) = (trial.spec().start, trial.end());
    let faults = trial.faults().to_vec();
    let negatives = trial.negatives().to_vec();
    let acts = trial.acts().to_vec();
    let calendar = LocalCalendar::new(&trial.spec().zone)?;
    let days = u64::from(trial.spec().days);
    let mut rig = Rig::new(&directory, calendar, job.params.clone(), start);
    rig.closer.bills.watch(&faults, &directory);
    let meters = rig.meters.len() as u64;
    let late = job.shuffled.then(Late::default);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(AHEAD);
        scope.spawn(move || simulate(trial, late, &send));
        let mut acts = acts.into_iter().peekable();
        while let Ok((to, messages)) = receive.recv() {
            rig.step(to, messages, &mut acts, &directory);
            let hours = to.seconds_since(start) / 3_600;
            if hours % 24 == 0 {
                let day = u64::try_from(hours / 24).unwrap_or(0);
                progress.day(label, (day, days), meters);
            }
        }
    });
    Ok(Outcome {
        harm: rig.closer.bills.judge(&faults, &directory, end),
        identities: rig.identities,
        natural: matches!(job.spec.kind, TrialKind::Natural { .. }),
        directory,
        faults,
        negatives,
        issues: rig.book.issues,
        naive: rig.naive.finish(),
        raised: rig.book.raised,
        readings: rig.table.readings,
        dead: rig.dead,
        meters,
        end,
        meter_days: meters * days,
        alerts_sha256: hex(&rig.hash.finalize()),
        load: rig.load,
    })
}

fn simulate(
    mut trial: Trial,
    mut late: Option<Late>,
    send: &mpsc::SyncSender<(UtcTime, Vec<SimMessage>)>,
) {
    let mut now = trial.spec().start;
    while now < trial.end() {
        now = now.plus_seconds(STEP_S).min(trial.end());
        let mut messages = trial.messages(now);
        if let Some(late) = &mut late {
            messages = late.pass(now, messages);
        }
        if send.send((now, messages)).is_err() {
            return;
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Load {
    /// Another trial; days of two trials are days of their own.
    pub(super) fn join(&mut self, other: &Self) {
        self.announcements += other.announcements;
        self.windows += other.windows;
        self.floods += other.floods;
        let after = self.days.keys().next_back().map_or(0, |day| day + 1);
        for (nth, count) in (after..).zip(other.days.values()) {
            self.days.insert(nth, *count);
        }
    }

    fn add(&mut self, said: &Said) {
        self.announcements += said.annunciations.len() as u64;
        for row in &said.kpis {
            self.windows += 1;
            self.floods += u64::from(row.flood);
            *self.days.entry(row.at.utc_day()).or_default() += u64::from(row.annunciated);
        }
    }
}

/// Runs the trial for its data alone: what arrived of the first channel of each meter.
///
/// # Errors
/// The specification cannot be simulated.
pub(super) fn series(spec: TrialSpec) -> anyhow::Result<Vec<(MeterAsset, Vec<table::Slot>)>> {
    let mut trial = Trial::new(spec).context("plan the trial")?;
    let directory = Directory::new(trial.assets())?;
    let (start, end) = (trial.spec().start, trial.end());
    let calendar = LocalCalendar::new(&trial.spec().zone)?;
    let mut rig = Rig::new(&directory, calendar, Params::default(), start);
    rig.table = Table::new(end.seconds_since(start));
    let mut now = start;
    while now < end {
        now = now.plus_seconds(STEP_S).min(end);
        let messages = trial.messages(now);
        rig.step(now, messages, &mut Vec::new().into_iter().peekable(), &directory);
    }
    let mut table = rig.table;
    let first = |meter: MeterAsset| {
        let channel = meter.channels.first()?.channel;
        let series = table.channels.remove(&(meter.meter, channel))?;
        Some((meter, series.slots.into()))
    };
    Ok(rig.meters.into_iter().filter_map(first).collect())
}

impl Rig {
    pub(super) fn new(
        directory: &Directory,
        calendar: LocalCalendar,
        params: Params,
        start: UtcTime,
    ) -> Self {
        let route = Route {
            filter: "ami/up/#".to_owned(),
            format: Format::Bundle,
            zone: None,
            collector_level: None,
            mapping: None,
            options: protocols::DecodeOptions::default(),
        };
        let registry = Registry::new(&directory.registry);
        let meters: Vec<MeterAsset> =
            directory.registry.meters.iter().map(|one| one.asset.clone()).collect();
        let mut rig = Self {
            core: IngestCore::new("score", registry, vec![route]).keeping_raw(false),
            table: Table::new(table::KEPT_S),
            closer: DayCloser::new(calendar, start, &meters),
            engine: Engine::new(params),
            book: Book::default(),
            naive: Naive::new(&meters),
            places: meters.iter().enumerate().map(|(at, meter)| (meter.meter, at)).collect(),
            meters,
            newest: HashMap::new(),
            next_seq: 1,
            due_at: start,
            said: Vec::new(),
            hash: Sha256::new(),
            desk: Desk::new(DeskParams::default()),
            load: Load::default(),
            dead: 0,
            orders: 0,
            identities: BTreeSet::new(),
        };
        rig.append(start, directory.records());
        rig
    }

    /// Takes the messages before `to`, batch by batch.
    pub(super) fn step(
        &mut self,
        to: UtcTime,
        messages: Vec<SimMessage>,
        acts: &mut std::iter::Peekable<std::vec::IntoIter<TimedAct>>,
        directory: &Directory,
    ) {
        let mut messages = messages.into_iter().peekable();
        let mut until = to.plus_seconds(-STEP_S);
        while until < to {
            until = until.plus_seconds(BATCH_S).min(to);
            while let Some(act) = acts.next_if(|act| act.at < until) {
                if let Some(record) = self.act(&act, directory) {
                    self.append(act.at, vec![record]);
                }
            }
            let batch = self.batch(&mut messages, until);
            let records = self.stored(&batch);
            self.append(until, records);
            let findings = self.findings(until);
            self.append(until, findings);
            self.append(until, vec![LogRecord::Tick]);
        }
    }

    /// What the ingest core makes of the messages before `until`.
    pub(super) fn batch(
        &mut self,
        messages: &mut std::iter::Peekable<std::vec::IntoIter<SimMessage>>,
        until: UtcTime,
    ) -> store::Batch {
        let mut accepted = self.core.begin();
        while let Some(message) = messages.next_if(|message| message.sent_at < until) {
            let frame = Frame {
                topic: message.topic,
                payload: Bytes::from(message.payload),
                received_at: message.sent_at.plus_seconds(WAY_S),
                redelivered: false,
            };
            self.core.push(&frame, &mut accepted);
        }
        self.core.finish(&mut accepted, until);
        accepted.batch
    }

    /// Puts the batch into the tables in memory; its new facts are returned.
    pub(super) fn stored(&mut self, batch: &store::Batch) -> Vec<LogRecord> {
        self.dead += batch.dead.len() as u64;
        let records = self.table.store(batch);
        self.closer.note(&records);
        self.note(&records);
        records
    }

    pub(super) fn findings(&mut self, until: UtcTime) -> Vec<LogRecord> {
        self.closer.due(until, &mut self.table, &self.meters)
    }

    /// Of everything that the rules said so far.
    pub(super) fn alerts_sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    fn note(&mut self, records: &[LogRecord]) {
        for record in records {
            let (meter, at) = match record {
                LogRecord::Interval { meter, end, .. } => (*meter, *end),
                LogRecord::Event { subject: Subject::Meter(meter), occurred_at, .. } => {
                    (*meter, *occurred_at)
                }
                _ => continue,
            };
            let newest = self.newest.entry(meter).or_insert(at);
            *newest = at.max(*newest);
        }
    }

    pub(super) fn act(&mut self, timed: &TimedAct, directory: &Directory) -> Option<LogRecord> {
        let (TrialAct::AccountEnds { meter } | TrialAct::FieldWork { meter, .. }) = &timed.act;
        let id = directory.meter(meter)?;
        match timed.act {
            TrialAct::AccountEnds { .. } => {
                self.closer.account_ended(id, timed.at);
                let asset = self.places.get(&id).and_then(|at| self.meters.get_mut(*at))?;
                asset.account_active = false;
                Some(LogRecord::Meter(Box::new(asset.clone())))
            }
            TrialAct::FieldWork { done, .. } => {
                let (status, at) = if done {
                    (WorkOrderStatus::Completed, timed.at)
                } else {
                    self.orders += 1;
                    (WorkOrderStatus::Created, timed.at.plus_seconds(86_400))
                };
                let order = WorkOrder {
                    number: i64::from(id.get()),
                    subject: Subject::Meter(id),
                    kind: WorkOrderKind::Inspection,
                    status,
                    at,
                };
                Some(LogRecord::WorkOrder(order))
            }
        }
    }

    /// Appends to the log; rules and issues follow at once.
    fn append(&mut self, log_time: UtcTime, records: Vec<LogRecord>) {
        let mut records = records;
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(FRAME_RECORDS));
            let count = i64::try_from(records.len()).unwrap_or(0);
            let frame = LoggedFrame { shard: 0, first_seq: self.next_seq, log_time, records };
            self.next_seq += count;
            self.frame(&frame);
            records = rest;
        }
    }

    fn identify(&mut self, said: &AlertTransition) {
        match said.kind {
            TransitionKind::Raised => {
                self.identities.insert(said.alert_id.clone());
            }
            TransitionKind::Retracted => {
                self.identities.remove(&said.alert_id);
            }
            TransitionKind::Updated | TransitionKind::Cleared => {}
        }
    }

    /// The rules read a frame; issues and announcements follow.
    pub(super) fn frame(&mut self, frame: &LoggedFrame) {
        let log_time = frame.log_time;
        self.naive.apply(frame);
        self.engine.apply(frame, &mut self.said);
        for said in std::mem::take(&mut self.said) {
            self.hash.update(format!("{said:?}\n"));
            self.identify(&said);
            let newest = match said.subject {
                Subject::Meter(meter) => self.newest.get(&meter).copied(),
                _ => None,
            };
            self.book.apply(&said, newest);
            let mut told = Said::default();
            self.desk.take(&said, self.engine.area_of(said.subject), &mut told);
            self.load.add(&told);
        }
        let mut told = Said::default();
        self.desk.advance(log_time, &mut told);
        self.load.add(&told);
        if log_time.seconds_since(self.due_at) >= DUE_EVERY_S {
            self.due_at = log_time;
            self.book.due(log_time);
        }
    }
}
