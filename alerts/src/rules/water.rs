//! #38 WTR-CONT and #40 WTR-BURST: water that does not stop, and water that gushes.
//!
//! Both look at whole slots in the order of event time: those of the last 26 h, and of all days
//! that are not closed yet. A slot that comes late changes what was said: what never held is
//! withdrawn, what was hidden is raised. A channel whose delivery is declared to take more than two
//! days is judged when its days close, in their order. What is estimated or suspect neither raises
//! nor clears.
//! Device leak flags are not used: they latch for weeks (Neptune R900).

use metering::{ChannelNo, CustomerClass, Severity, Tag};

use super::flow::{self, Continuity, Episode, Gush, Window};
use super::weekly;
use crate::alerts::{Active, AlertKey, Rate, Report, Stage, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::channel::Channel;
use crate::state::days::OpenDay;
use crate::state::meter::Meter;
use crate::state::sec::Sec;
use crate::state::water::{HOUR_BASE_MLPH, Said, WINDOW_S, Water};
use crate::transition::Evidence;

/// Places where water flows day and night for good reason. More than eight dwellings are judged by
/// night flow per unit (#41), which needs the number of units.
const ALWAYS_TAGS: [Tag; 4] = [Tag::Hospital, Tag::CoolingTower, Tag::Fire, Tag::IrrigationOnly];
/// Places whose meter serves fires.
const FIRE_TAGS: [Tag; 2] = [Tag::Fire, Tag::Hydrant];
/// Places that draw much at times: only more than the meter is made for is a burst.
const THIRSTY_TAGS: [Tag; 3] = [Tag::PoolFill, Tag::Irrigation, Tag::IrrigationOnly];

/// More dwellings than this are judged by night flow.
const UNITS_MAX: u16 = 8;
const HOUR_S: i64 = 3_600;
/// Slower deliveries are judged by whole days.
const SLOW_S: i64 = 48 * HOUR_S;
/// Slots before this are not needed to judge one.
const BURST_S: i64 = 4 * HOUR_S;
const HALF_LIFE_DAYS: i32 = 45;
/// No limit: nothing is a burst.
pub(super) const NO_LIMIT: i64 = i64::MAX / 4;

/// Slots that are judged: up to `until`, and the end of the newest day but those whose bursts are
/// measured by the hours of all closed days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Horizon {
    until: i64,
    edge: i64,
    /// Bursts that begin up to here were judged by the hours of their time.
    since: i64,
}

fn is_slow(channel: &Channel) -> bool {
    i64::from(channel.lag_s) > SLOW_S && crate::intervals::repairs()
}

/// A slot of the channel was filled: `slot` is its end over its length.
pub(crate) fn slot_filled(meter: &mut Meter, at: usize, slot: i64, env: &mut Env) {
    let Some(channel) = meter.channels.get(at).filter(|_| meter.is_customers()) else { return };
    let closed = channel.closed_through();
    let slow = is_slow(channel);
    let mut horizon = Horizon { until: i64::MAX, edge: i64::MIN, since: i64::MIN };
    if slow {
        horizon.until = env.zones.day(meter.zone, closed).end.div_euclid(channel.len());
        if slot > horizon.until {
            return;
        }
    }
    if wants_continuity(meter, at, slot, env) {
        judge_continuity(meter, at, (Some(slot), horizon), env);
    }
    if wants_bursts(meter, at, slot, env) {
        if let Some(channel) = meter.channels.get(at).filter(|_| closed != i32::MIN) {
            let day = env.zones.day(meter.zone, closed);
            horizon.edge = day.end.div_euclid(channel.len());
            let around = slot - BURST_S / channel.len();
            horizon.since = day.start.div_euclid(channel.len()).min(around);
        }
        judge_bursts(meter, at, horizon, env);
    }
}

/// A local day closes: bursts in it are judged by the hours of the days before it, whatever the
/// order in which its slots came; then its own hours count.
pub(crate) fn day_closes(meter: &mut Meter, at: usize, day: &OpenDay, env: &mut Env) {
    let piped = meter.commodity == metering::Commodity::Water;
    let Some(channel) = meter.channels.get(at) else { return };
    let (len_s, slow) = (channel.len(), is_slow(channel));
    let first = day.start().div_euclid(len_s);
    let last = first + i64::from(day.slots);
    let until = if slow { last } else { i64::MAX };
    let horizon = Horizon { until, edge: first, since: first - BURST_S / len_s };
    if piped && meter.is_customers() {
        if slow {
            judge_continuity(meter, at, (None, horizon), env);
        }
        if bursts_in(meter, at, (first, last), env) {
            judge_bursts(meter, at, horizon, env);
        }
    }
    if piped && meter.is_customers() {
        weekly::note_day(meter, at, day, env);
    }
    let Some(water) = meter.channels.get_mut(at).and_then(|c| c.water.as_deref_mut()) else {
        return;
    };
    if piped && day.number % HALF_LIFE_DAYS == 0 {
        water.hours.halve();
    }
    note_hours(water, len_s, day);
    let enough = i64::from(water.hours.total()) >= env.params.burst_hours_min;
    let p95 = if enough { water.hours.percentile(95, HOUR_BASE_MLPH).max(1) } else { 0 };
    water.p95 = [u32::try_from(p95).unwrap_or(u32::MAX), water.p95[0]];
}

/// Adds the whole hours of a day to the channel's own hours.
fn note_hours(water: &mut Water, len_s: i64, day: &OpenDay) {
    let step = (HOUR_S / len_s).max(1);
    let before = day.start().div_euclid(len_s);
    let first = (before + step - 1).div_euclid(step) * step + step;
    let last = before + i64::from(day.slots);
    for end in (first..=last).step_by(usize::try_from(step).unwrap_or(1)) {
        if let Some(sum) = water.sum(end, step) {
            water.hours.add(sum * HOUR_S / (step * len_s), HOUR_BASE_MLPH);
        }
    }
}

fn key(meter: &Meter, channel: &Channel, rule: RuleId) -> AlertKey {
    AlertKey::of(meter.subject(), rule, Some(ChannelNo::new(channel.no)))
}

/// Slots judged together: 2 h for coarse counters, which show no flow between two steps. 0: the
/// channel is too coarse in quantity or time.
fn slots_together(channel: &Channel, env: &Env) -> i64 {
    let len_s = channel.len();
    if len_s > 2 * HOUR_S || channel.resolution() > 10 * env.params.cont_coarse_ml {
        0
    } else if channel.resolution() >= env.params.cont_coarse_ml {
        (2 * HOUR_S / len_s).max(1)
    } else {
        1
    }
}

fn may_run_always(meter: &Meter) -> bool {
    let many = meter.units > UNITS_MAX
        || (meter.units == 0 && meter.class == CustomerClass::MultiDwelling);
    meter.tags.has_any(&ALWAYS_TAGS) || many
}

fn continuity(meter: &Meter, channel: &Channel, env: &Env) -> Option<Continuity> {
    let (len_s, together) = (channel.len(), slots_together(channel, env));
    (together > 0).then(|| Continuity {
        len_s,
        together,
        wanted: env.params.cont_window_h * HOUR_S / (len_s * together),
        within: WINDOW_S / len_s,
        pause: (env.params.cont_clear_s / len_s).max(1).max(together),
        keep_s: env.params.cont_keep_for_h * HOUR_S,
        least: env.params.cont_min_mlph,
        raises: !may_run_always(meter),
        until: i64::MAX,
    })
}

/// Whether a slot can change anything: most slots of most meters stand near one without flow.
fn wants_continuity(meter: &Meter, at: usize, slot: i64, env: &Env) -> bool {
    let Some(channel) = meter.channels.get(at) else { return false };
    let Some(water) = channel.water.as_deref() else { return false };
    let Some(rule) = continuity(meter, channel, env) else { return false };
    let said = |said: &Vec<Said>| said.iter().any(|one| one.rule == RuleId::WTR_CONT.no.get());
    if env.book.get(&key(meter, channel, RuleId::WTR_CONT)).is_some()
        || water.said.as_deref().is_some_and(said)
    {
        return true;
    }
    if !rule.raises || rule.together > 1 {
        return rule.raises;
    }
    let head = water.head.s();
    if slot == head && !is_slow(channel) {
        return head - water.last_zero.s() >= rule.wanted;
    }
    let flows = |slot: &i64| water.get(*slot) != Some(0);
    let before = (water.floor() + 1..slot).rev().take_while(flows).count();
    let after = (slot + 1..=head).take_while(flows).count();
    before + after >= usize::try_from(rule.wanted).unwrap_or(usize::MAX)
}

/// `slot` has just come, when one did.
fn judge_continuity(
    meter: &mut Meter,
    at: usize,
    (slot, horizon): (Option<i64>, Horizon),
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let Some(mut rule) = continuity(meter, channel, env) else { return };
    rule.until = horizon.until;
    let key = key(meter, channel, RuleId::WTR_CONT);
    let (len_s, within) = (rule.len_s, rule.within);
    let (least, floor) = (rule.wanted * rule.together, water.floor());
    let reach = Reach { len_s, within, least, floor };
    let mut carried = carried(water, &key, (reach, rule.pause), env);
    // What showed it is kept no more, but a slot without flow came within it.
    let zero = slot.filter(|slot| rule.together == 1 && water.get(*slot) == Some(0));
    let broken = |episode: &Episode| {
        let within = episode.start + 1..=episode.shown;
        zero.is_some_and(|slot| within.contains(&(slot * rule.len_s)))
    };
    if carried.as_ref().is_some_and(broken) && env.book.get(&key).is_some() {
        env.book.retract(&key, env.at, &mut env.out);
        carried = None;
    }
    let found = flow::continuous(water, &rule, carried);
    settle(meter, (at, RuleId::WTR_CONT), found, reach, env);
}

/// Slots that show an episode: at most `within`, at least `least`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reach {
    len_s: i64,
    within: i64,
    least: i64,
    /// The newest slot before those that are judged.
    floor: i64,
}

impl Reach {
    /// End of the data that first showed it.
    fn shown(self, active: &Active) -> i64 {
        if active.stage == Stage::Pending {
            active.start + self.least * self.len_s
        } else {
            active.until
        }
    }

    /// All slots that may have shown it are kept: they decide whether it holds.
    fn kept(self, shown: i64) -> bool {
        shown.div_euclid(self.len_s) - self.within >= self.floor
    }

    /// None of them is left, and it ended before all that are.
    fn is_past(self, water: &Water, said: &Said) -> bool {
        let floor = water.floor();
        said.end.s() <= floor * self.len_s
            && said.shown.s().div_euclid(self.len_s) - self.least < floor
    }
}

/// The alert that was raised by slots that are kept no more, and that reaches into those that are.
/// `pause` slots in a row end it.
fn carried(
    water: &Water,
    key: &AlertKey,
    (reach, pause): (Reach, i64),
    env: &Env,
) -> Option<Episode> {
    let (floor, len_s) = (reach.floor, reach.len_s);
    let gone = |shown: i64| !reach.kept(shown);
    // Its end is found again among the slots that are kept.
    let seen = |end: i64| end > (floor + pause) * len_s;
    let leak = key.rule == RuleId::WTR_CONT.no;
    if let Some(active) = env.book.get(key).filter(|active| gone(reach.shown(active))) {
        let mark = if leak && seen(active.mark) { 0 } else { active.mark };
        let (start, shown) = (active.start, reach.shown(active));
        return Some(Episode { start, shown, end: NEVER, mark, window: None });
    }
    let said =
        water.said.as_deref()?.iter().rev().find(|said| {
            said.rule == key.rule.get() && gone(said.shown.s()) && seen(said.end.s())
        })?;
    let (start, shown) = (said.start.s(), said.shown.s());
    Some(Episode { start, shown, end: NEVER, mark: 0, window: None })
}

/// Makes what is said agree with what was found: withdraws, raises, changes, ends.
fn settle(
    meter: &mut Meter,
    (at, rule): (usize, RuleId),
    mut found: Vec<Episode>,
    reach: Reach,
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let key = key(meter, channel, rule);
    let mut said: Vec<Said> = water.said.as_deref().cloned().unwrap_or_default();
    let mine = |old: &Said| old.rule == rule.no.get();
    flow::join(&mut found, env.params.settings(rule.no).keep_for_s);
    // The rest of an episode of which the beginning is gone is no other one.
    found.retain(|episode| {
        !said
            .iter()
            .filter(|old| mine(old) && !reach.kept(old.shown.s()))
            .any(|old| episode.start != old.start.s() && episode.start < old.end.s())
    });
    let shown = |start: i64| found.iter().any(|episode| episode.start == start);
    if let Some(active) = env.book.get(&key)
        && reach.kept(reach.shown(active))
        && !shown(active.start)
    {
        env.book.retract(&key, env.at, &mut env.out);
    }
    let refuted = |old: &Said| mine(old) && reach.kept(old.shown.s()) && !shown(old.start.s());
    for old in said.iter().filter(|old| refuted(old)) {
        let (start, shown, end) = (old.start.s(), old.shown.s(), old.end.s());
        let episode = Episode { start, shown, end, mark: 0, window: None };
        let past = report(meter, channel, rule, &episode, env);
        env.book.withdraw(&past, env.at, &mut env.out);
    }
    said.retain(|old| !(refuted(old) || mine(old) && reach.is_past(water, old)));
    for episode in &found {
        say(meter, at, (rule, episode), &mut said, env);
    }
    let Some(water) = meter.channels.get_mut(at).and_then(|c| c.water.as_deref_mut()) else {
        return;
    };
    water.said = (!said.is_empty()).then(|| Box::new(said));
}

/// One episode: what is to be said of it that was not said yet.
fn say(
    meter: &Meter,
    at: usize,
    (rule, episode): (RuleId, &Episode),
    said: &mut Vec<Said>,
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get(at) else { return };
    let key = key(meter, channel, rule);
    let known =
        said.iter().position(|old| old.rule == rule.no.get() && old.start.s() == episode.start);
    let active = env.book.get(&key).is_some_and(|active| active.start == episode.start);
    if episode.lasts() {
        // It is new, it goes on, or what was over lasts again.
        if let Some(known) = known {
            said.remove(known);
        }
        if episode.window.is_some() || !active {
            finish(report(meter, channel, rule, episode, env), channel, env);
        }
        keep_episode(&key, episode, env);
        return;
    }
    if known.is_some_and(|at| said[at].end.s() == episode.end) {
        return;
    }
    if active {
        if episode.window.is_some() {
            finish(report(meter, channel, rule, episode, env), channel, env);
        }
        env.book.clear(&key, episode.end, env.at, &mut env.out);
    } else {
        let report = report(meter, channel, rule, episode, env);
        env.book.past(&report, episode.end, env.at, &mut env.out);
    }
    if let Some(known) = known {
        said.remove(known);
    }
    said.push(Said {
        rule: rule.no.get(),
        start: Sec::of(episode.start),
        shown: Sec::of(episode.shown),
        end: Sec::of(episode.end),
    });
}

fn keep_episode(key: &AlertKey, episode: &Episode, env: &mut Env) {
    let Some(active) = env.book.get_mut(key) else { return };
    active.mark = episode.mark;
    if active.stage != Stage::Pending {
        active.until = episode.shown;
    }
}

fn report(meter: &Meter, channel: &Channel, rule: RuleId, episode: &Episode, env: &Env) -> Report {
    let cause =
        if rule == RuleId::WTR_CONT { Cause::LeakCustomerSide } else { Cause::BurstCustomerSide };
    let mut report = Report::new(rule, meter.subject(), cause, episode.start);
    report.channel = Some(ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    let window =
        episode.window.unwrap_or_else(|| Window::new((episode.start, episode.shown), 0, 0));
    report.until = window.to;
    let shown = if rule == RuleId::WTR_CONT { window.rate.mlph } else { window.least };
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(window.from)),
        Evidence::instant("window_to", seconds(window.to)),
        Evidence::milli("measured", shown, "L/h"),
    ];
    if rule == RuleId::WTR_CONT {
        of_leak(&mut report, channel, window, env);
    } else {
        of_burst(&mut report, (meter, channel), (window, episode.mark), env);
    }
    report
}

/// Came as it should; a slow delivery is judged when its day closes.
fn is_timely(end: i64, channel: &Channel, env: &Env) -> bool {
    let waits_s = if is_slow(channel) { 86_400 } else { 0 };
    env.is_timely(end, channel.lag_s.saturating_add(waits_s))
}

fn of_leak(report: &mut Report, channel: &Channel, window: Window, env: &Env) {
    let params = &env.params;
    report.severity = if window.least > params.cont_p1_mlph {
        Severity::P1
    } else if window.least >= params.cont_p2_mlph {
        Severity::P2
    } else if window.least >= params.cont_p3_mlph {
        Severity::P3
    } else {
        Severity::P4
    };
    // P4 is for the record until the customer is told; old data are annunciated once they prove to
    // be of now.
    let told = window.to - report.start >= params.cont_notice_h * HOUR_S;
    report.annunciate =
        (report.severity < Severity::P4 || told) && is_timely(window.to, channel, env);
    report.ranked.push((Cause::LeakIntermittent, -200));
    report.evidence.push(Evidence::milli("threshold", params.cont_min_mlph, "L/h"));
    report.evidence.push(Evidence::number("slots_with_flow", window.slots, "slots"));
    // Late data may tell of it when what showed it is kept no more.
    report.rate = (window.slots > 0).then_some(window.rate);
}

fn of_burst(
    report: &mut Report,
    (meter, channel): (&Meter, &Channel),
    (window, limit): (Window, i64),
    env: &Env,
) {
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    report.severity = if rated > 0 && window.least > rated { Severity::P1 } else { Severity::P2 };
    report.annunciate = is_timely(window.to, channel, env);
    report.ranked.push((Cause::LeakCustomerSide, -150));
    report.evidence.push(Evidence::milli("threshold", limit, "L/h"));
    report.evidence.push(Evidence::milli("rated", rated, "L/h"));
    report.evidence.push(Evidence::number("slots_over", window.slots, "slots"));
}

/// Says it, and looks again at the next tick when the data are old but not ancient.
pub(crate) fn finish(report: Report, channel: &Channel, env: &mut Env) {
    let key = report.key();
    let silent = !report.annunciate && report.severity < Severity::P4;
    let fresh = env.is_fresh(report.until, channel.lag_s);
    env.book.assert(report, env.at, &mut env.out);
    let pending = env.book.get(&key).is_some_and(|active| !active.annunciated);
    if silent
        && pending
        && fresh
        && let Some(timer) = crate::timer::TimerKey::annunciate(&key)
    {
        env.timers.set(env.now, timer);
    }
}

/// Timer: an alert that was raised from old data is still active, so it is true now.
pub(crate) fn annunciate(meter: &Meter, key: AlertKey, env: &mut Env) {
    let Some(active) = env.book.get(&key).copied() else { return };
    let channel = meter.channels.iter().find(|channel| channel.no == key.channel);
    let (Some(channel), Some(rule)) = (channel, RuleId::from_number(key.rule.get())) else {
        return;
    };
    // A leak that paused is about to clear.
    let pausing = rule == RuleId::WTR_CONT && active.mark != 0;
    if active.annunciated || pausing || !env.is_fresh(channel.last_end.s(), channel.lag_s) {
        return;
    }
    let mut report = Report::new(rule, key.subject, active.cause, active.start);
    report.channel = Some(ChannelNo::new(key.channel));
    report.commodity = active.commodity;
    report.severity = active.severity;
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(active.start)),
        Evidence::instant("window_to", seconds(channel.last_end.s())),
    ];
    if let Some(told) = env.book.rates.get(&key).copied() {
        let (from, to) = (told.to, told.to.max(channel.last_end.s()));
        report.evidence.push(Evidence::milli("measured", told.mlph, "L/h"));
        report.rate = Some(Rate { from, to, mlph: told.mlph });
    }
    env.book.assert(report, env.at, &mut env.out);
}

/// Flow that is a burst for this meter, in mL/h, by the 95th percentile of its own hours;
/// [`NO_LIMIT`] while these are too few and its rated flow unknown.
pub(super) fn burst_limit(meter: &Meter, p95: u32, env: &Env) -> i64 {
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    if meter.tags.has_any(&THIRSTY_TAGS) {
        return if rated > 0 { rated } else { NO_LIMIT };
    }
    let params = &env.params;
    let own = match (p95, rated) {
        (0, 0) => return NO_LIMIT,
        (0, rated) => rated,
        (p95, _) => i64::from(p95) * params.burst_p95_times,
    };
    params.burst_min_mlph.max(rated * params.burst_q3_pct / 100).max(own)
}

fn gush(meter: &Meter, channel: &Channel, env: &Env) -> Option<Gush> {
    let len_s = channel.len();
    if meter.tags.has_any(&FIRE_TAGS) || len_s > 2 * HOUR_S {
        return None;
    }
    let water = channel.water.as_deref()?;
    Some(Gush {
        len_s,
        slots: (env.params.burst_for_s / len_s).max(1),
        calm: (env.params.burst_clear_s / len_s).max(1),
        limits: [water.p95[1], water.p95[0]].map(|p95| burst_limit(meter, p95, env)),
        edge: i64::MIN,
        usual: Vec::new(),
        usual_limit: 0,
        since: i64::MIN,
        until: i64::MAX,
    })
}

fn wants_bursts(meter: &Meter, at: usize, slot: i64, env: &Env) -> bool {
    let Some(channel) = meter.channels.get(at) else { return false };
    let Some(water) = channel.water.as_deref() else { return false };
    let said = |said: &Vec<Said>| said.iter().any(|one| one.rule == RuleId::WTR_BURST.no.get());
    if env.book.get(&key(meter, channel, RuleId::WTR_BURST)).is_some()
        || water.said.as_deref().is_some_and(said)
    {
        return true;
    }
    // The cheapest answer first: few slots are above the least limit.
    let rate = water.get(slot).map_or(0, |value| value * HOUR_S / channel.len());
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    let least = env.params.burst_min_mlph.min(if rated > 0 { rated } else { NO_LIMIT });
    rate > least && gush(meter, channel, env).is_some_and(|rule| rule.may_be_over(water, slot))
}

/// Whether a burst may be among the slots after `before` up to `last`.
fn bursts_in(meter: &Meter, at: usize, (before, last): (i64, i64), env: &Env) -> bool {
    let Some(channel) = meter.channels.get(at) else { return false };
    let Some(water) = channel.water.as_deref() else { return false };
    let said = |said: &Vec<Said>| said.iter().any(|one| one.rule == RuleId::WTR_BURST.no.get());
    if env.book.get(&key(meter, channel, RuleId::WTR_BURST)).is_some()
        || water.said.as_deref().is_some_and(said)
    {
        return true;
    }
    let Some(rule) = gush(meter, channel, env) else { return false };
    (before + 1..=last).any(|slot| rule.may_be_over(water, slot))
}

fn judge_bursts(meter: &mut Meter, at: usize, horizon: Horizon, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(rule) = gush(meter, channel, env) else { return };
    let Horizon { until, edge, since } = horizon;
    let (usual, usual_limit) = weekly::usual(meter, channel, (since, until), env);
    let rule = Gush { edge, since, until, usual, usual_limit, ..rule };
    let Some(water) = channel.water.as_deref() else { return };
    let floor = water.floor().max(since);
    let key = key(meter, channel, RuleId::WTR_BURST);
    let reach = Reach { len_s: rule.len_s, within: rule.slots + 1, least: rule.slots, floor };
    let mut carried = carried(water, &key, (reach, rule.calm), env);
    if let Some(episode) = carried.as_mut().filter(|episode| episode.mark == 0) {
        episode.mark = rule.limit(floor + 1);
    }
    let found = flow::bursts(water, &rule, carried);
    settle(meter, (at, RuleId::WTR_BURST), found, reach, env);
}
