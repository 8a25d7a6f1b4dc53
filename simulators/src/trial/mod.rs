//! Trials: fleets with many labelled faults, to measure how well they are found.
//!
//! In the order in which a trial is made: which faults there are ([`scenario`]), what they do to a
//! meter (`twist`), who is there (`build`, `wards`), what goes wrong with whom (`faults`,
//! `negatives`), how a meter lives and reports (`device`, `report`), and what was planted
//! ([`truth`]). One fault per meter; the same specification gives the same bytes, however the time
//! is cut into steps. Memory is bounded: a day of each meter, and what has not been sent.

mod assets;
mod build;
mod device;
mod faults;
mod negatives;
mod report;
pub mod scenario;
pub mod truth;
mod twist;
mod wards;

use metering::{LocalCalendar, UtcTime};

use crate::assets::FleetAssets;
use crate::calendar::Days;
use crate::fleet::SimMessage;
use crate::json::JsonText;
use crate::spec::SpecError;
use crate::usage::Span;
use build::Builder;
use device::Device;
use report::Sending;
use truth::{TimedAct, TrialFault, TrialNegative};
use twist::Twist;

/// What a trial is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrialSpec {
    pub seed: u64,
    pub start: UtcTime,
    pub days: u32,
    /// IANA name of the zone that all customers live in.
    pub zone: String,
    pub kind: TrialKind,
    /// Thousandths of the reports that arrive; the others are lost for good.
    pub delivery: u16,
    /// Names of scenarios or causes; empty = all.
    pub only: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrialKind {
    /// So many events of each cause, and as many look-alikes of each class.
    Injected { per_cause: u32 },
    /// So many meters with faults at the rates of `metering-rules.md` 11.1.
    Natural { meters: u32 },
    /// A small fleet whose head-end is cut off, or has a wrong clock, so many times each.
    Headend { episodes: u32 },
    /// A small fleet that so many spells of weather pass over.
    Weather { spells: u32 },
    /// So many events of each of what takes most of a year to be seen.
    Long { per_cause: u32 },
}

/// Something that is wrong with the head-end itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blackout {
    pub(crate) span: Span,
    /// `None`: nothing passes. Else the head-end's clock is behind by so many seconds, which is as
    /// if everybody's were ahead.
    pub(crate) behind_s: Option<i64>,
}

/// A collector of a trial.
#[derive(Clone, Debug)]
pub(crate) struct TrialCollector {
    pub(crate) code: String,
    /// Neither heartbeats nor reports pass.
    pub(crate) outages: Vec<Span>,
    /// Its own connection is gone; meters are heard through their second collector.
    pub(crate) cut: Vec<Span>,
    pub(crate) members: Vec<usize>,
}

/// A running trial.
#[derive(Debug)]
pub struct Trial {
    spec: TrialSpec,
    days: Days,
    /// Days that the meters have lived.
    lived: usize,
    devices: Vec<Device>,
    collectors: Vec<TrialCollector>,
    assets: FleetAssets,
    faults: Vec<TrialFault>,
    negatives: Vec<TrialNegative>,
    acts: Vec<TimedAct>,
    /// Events that do not wait for a report, latest first.
    urgent: Vec<Urgent>,
    blackouts: Vec<Blackout>,
    text: JsonText,
    now: UtcTime,
}

/// An event that is sent at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Urgent {
    pub(crate) at: UtcTime,
    pub(crate) device: usize,
    pub(crate) code: &'static str,
}

/// Collectors say that they are alive this often, in seconds.
pub(crate) const HEARTBEAT_S: i64 = 900;
/// Meters report this often, in seconds.
pub(crate) const REPORT_S: i64 = 3_600;
const BUNDLES_MAX: u32 = 200;

impl Trial {
    /// # Errors
    /// The zone is unknown, or the trial is longer than 500 days.
    pub fn new(spec: TrialSpec) -> Result<Self, SpecError> {
        if !(1..=500).contains(&spec.days) {
            return Err(SpecError::TooLong(i64::from(spec.days)));
        }
        let calendar = LocalCalendar::new(&spec.zone)?;
        let mut spec = spec;
        // A trial begins with a local day, so that each day of each meter is whole.
        spec.start = calendar.day(calendar.date_of(spec.start)).start;
        let end = spec.start.plus_seconds(i64::from(spec.days) * 86_400);
        let days = Days::new(&calendar, spec.seed, spec.start, end);
        let built = Builder::build(&spec, &days);
        let assets = assets::assets(&spec, &built);
        let Builder { devices, collectors, mut faults, negatives, mut acts, .. } = built;
        let (mut urgent, blackouts) = (built.urgent, built.blackouts);
        urgent.sort_by_key(|event| std::cmp::Reverse((event.at, event.device)));
        faults.sort_by(|a, b| (a.onset, &a.subject).cmp(&(b.onset, &b.subject)));
        acts.sort_by_key(|act| act.at);
        Ok(Self {
            now: spec.start,
            days,
            lived: 0,
            devices,
            collectors,
            assets,
            faults,
            negatives,
            acts,
            urgent,
            blackouts,
            text: JsonText::default(),
            spec,
        })
    }

    pub fn spec(&self) -> &TrialSpec {
        &self.spec
    }

    /// First instant that is not part of the trial.
    pub fn end(&self) -> UtcTime {
        self.spec.start.plus_seconds(i64::from(self.spec.days) * 86_400)
    }

    pub fn assets(&self) -> &FleetAssets {
        &self.assets
    }

    pub fn faults(&self) -> &[TrialFault] {
        &self.faults
    }

    pub fn negatives(&self) -> &[TrialNegative] {
        &self.negatives
    }

    pub fn acts(&self) -> &[TimedAct] {
        &self.acts
    }

    /// Everything that is sent in the hours before `to`, in the order of sending. `to` is rounded
    /// down to a whole hour of the trial.
    pub fn messages(&mut self, to: UtcTime) -> Vec<SimMessage> {
        let mut out = Vec::new();
        while self.now.plus_seconds(REPORT_S) <= to {
            let hour = self.now;
            let until = hour.plus_seconds(REPORT_S);
            self.live_until(until);
            self.heartbeats(hour, &mut out);
            self.reports(hour, &mut out);
            self.tell_urgent(until, &mut out);
            self.now = until;
        }
        out.sort_by(|a: &SimMessage, b| (a.sent_at, &a.topic).cmp(&(b.sent_at, &b.topic)));
        out
    }

    /// Lets the meters live through all days that begin before `until`.
    fn live_until(&mut self, until: UtcTime) {
        while let Some(day) = self.days.get(self.lived).copied().filter(|d| d.start < until) {
            for index in 0..self.devices.len() {
                let supplied = self.devices[index].sums.clone().map(|members| {
                    let mut sum = vec![0_i64; day.cells(device::SLOT_S)];
                    for member in &self.devices[members] {
                        for (total, used) in sum.iter_mut().zip(&member.state.used) {
                            *total += used;
                        }
                    }
                    sum
                });
                self.devices[index].live(self.spec.seed, self.lived, &day, supplied);
            }
            self.lived += 1;
        }
    }

    /// Whether nothing passes at `at`, and by how much the head-end's clock is behind.
    fn blackout(&self, at: UtcTime) -> (bool, i64) {
        let held = self.blackouts.iter().filter(|blackout| blackout.span.contains(at));
        held.fold((false, 0), |(cut, behind_s), blackout| match blackout.behind_s {
            None => (true, behind_s),
            Some(more_s) => (cut, behind_s + more_s),
        })
    }

    fn heartbeats(&mut self, hour: UtcTime, out: &mut Vec<SimMessage>) {
        for (index, collector) in self.collectors.iter().enumerate() {
            let phase_s = i64::try_from(index * 37 % 840).unwrap_or(0) + 20;
            for beat in 0..REPORT_S / HEARTBEAT_S {
                let at = hour.plus_seconds(beat * HEARTBEAT_S + phase_s);
                let down = |spans: &[Span]| spans.iter().any(|span| span.contains(at));
                let (cut, behind_s) = self.blackout(at);
                if down(&collector.outages) || down(&collector.cut) || cut {
                    continue;
                }
                self.text.raw(r#"{"v":1,"collector":""#);
                self.text.raw(&collector.code);
                self.text.raw(r#"","heartbeat":""#);
                self.text.time(at.plus_seconds(behind_s));
                self.text.raw(r#""}"#);
                let topic = format!("ami/up/{}/heartbeat", collector.code);
                out.push(SimMessage { sent_at: at, topic, payload: self.text.take(), reads: 0 });
            }
        }
    }

    fn reports(&mut self, hour: UtcTime, out: &mut Vec<SimMessage>) {
        for index in 0..self.collectors.len() {
            let phase_s = i64::try_from(index * 97 % 780).unwrap_or(0) + 40;
            let at = hour.plus_seconds(phase_s);
            let is_in = |spans: &[Span]| spans.iter().any(|span| span.contains(at));
            if is_in(&self.collectors[index].outages) || self.blackout(at).0 {
                continue;
            }
            let cut = is_in(&self.collectors[index].cut);
            self.batch(index, (at, hour.seconds() / REPORT_S), cut, out);
        }
    }

    /// Reports of the members of one collector.
    fn batch(
        &mut self,
        index: usize,
        (at, number): (UtcTime, i64),
        cut: bool,
        out: &mut Vec<SimMessage>,
    ) {
        let (mut bundles, mut reads) = (0, 0);
        for place in 0..self.collectors[index].members.len() {
            let member = self.collectors[index].members[place];
            let device = &mut self.devices[member];
            let through = if cut { device.second } else { Some(index) };
            let Some(through) = through else { continue };
            if device.is_mute(at) || link_fails(device, at, self.spec.delivery) {
                continue;
            }
            let sending = Sending { collector: &self.collectors[through].code, number, sent: at };
            let again = device
                .parts
                .iter()
                .any(|part| part.twist == Twist::Contradict && part.span.contains(at))
                .then(|| device.next_slots(at));
            self.text.raw(if bundles == 0 { "[" } else { "," });
            reads += device.report(sending, &mut self.text);
            bundles += 1;
            if let Some(slots) = again.filter(|slots| !slots.is_empty()) {
                self.text.raw(",");
                reads += device.contradiction(&slots, sending, &mut self.text);
                bundles += 1;
            }
            if bundles >= BUNDLES_MAX {
                self.close(index, at, (&mut bundles, &mut reads), out);
            }
        }
        self.close(index, at, (&mut bundles, &mut reads), out);
    }

    fn close(
        &mut self,
        collector: usize,
        sent_at: UtcTime,
        (bundles, reads): (&mut u32, &mut u32),
        out: &mut Vec<SimMessage>,
    ) {
        if *bundles == 0 {
            return;
        }
        self.text.raw("]");
        let topic = format!("ami/up/{}/batch", self.collectors[collector].code);
        out.push(SimMessage { sent_at, topic, payload: self.text.take(), reads: *reads });
        (*bundles, *reads) = (0, 0);
    }

    fn tell_urgent(&mut self, until: UtcTime, out: &mut Vec<SimMessage>) {
        while let Some(event) = self.urgent.pop_if(|event| event.at < until) {
            let device = &mut self.devices[event.device];
            device.state.event_seq += 1;
            self.text.raw(r#"{"v":1,"meter":""#);
            self.text.raw(&device.number);
            self.text.raw(r#"","sent":""#);
            self.text.time(event.at);
            self.text.raw(r#"","events":[{"code":""#);
            self.text.raw(event.code);
            self.text.raw(r#"","at":""#);
            self.text.time(event.at);
            self.text.raw(r#"","seq":"#);
            self.text.int(device.state.event_seq);
            self.text.raw("}]}");
            let topic = format!("ami/up/{}", device.number);
            let sent_at = event.at.plus_seconds(4);
            out.push(SimMessage { sent_at, topic, payload: self.text.take(), reads: 0 });
        }
    }
}

/// The report of this hour does not arrive. Half of the failed ones are sent with the next report;
/// of the others the slots are lost for good, in bursts of one to three.
fn link_fails(device: &mut Device, at: UtcTime, delivery: u16) -> bool {
    let usual = 1000 - i64::from(delivery.min(1000));
    let loss = device.parts.iter().map(|part| part.loss(at)).max().unwrap_or(0).max(usual);
    if loss == 0 {
        return false;
    }
    let fails = |permille: i64, lot: i64| lot < permille;
    if device.state.fading == 0 {
        let lot = device.state.stream().between(0, 999);
        // Bursts are two reports long in the mean; the share of lost reports is `loss`.
        if fails(loss * 1000 / (2000 - loss).max(1), lot) {
            device.state.fading = 1 + device.state.stream().below(3);
        }
    }
    if device.state.fading == 0 {
        // As many reports are only late.
        return device.state.stream().chance(0.01);
    }
    device.state.fading -= 1;
    let upto = at.floor_to(device::SLOT_S);
    let waiting = &mut device.state.waiting;
    let lost = waiting.iter().take_while(|slot| slot.end <= upto).count();
    waiting.drain(..lost);
    true
}

#[cfg(test)]
mod tests;
