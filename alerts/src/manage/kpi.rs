//! How much staff are told: the figures of `metering-rules` 3.

use std::collections::BTreeMap;

use metering::{Severity, UtcTime};

use super::desk::Desk;
use super::{AlarmKey, AlarmState, DeskParams};

const WINDOW_S: i64 = 600;
const DAY_S: i64 = 86_400;
/// Windows of a day.
const WINDOWS: usize = 144;
const TOP: usize = 10;

/// The figures now. Shares are in thousandths.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kpis {
    pub at: UtcTime,
    /// Announcements of the last ten minutes, per operator, in hundredths. Target: at most 200.
    pub annunciated_per_operator_x100: i64,
    /// Mean of the last day. Target: at most 200.
    pub mean_per_operator_x100: i64,
    /// Announcements of the last 24 h, per operator. Target: at most 150.
    pub annunciated_day: i64,
    pub in_flood: bool,
    /// Of the 10-min windows of the last day. Target: below 10.
    pub flood_permille: i64,
    /// Share of the ten alerts that were raised most in all that were raised. Target: below 50.
    pub bad_actor_permille: i64,
    /// They, most frequent first, with their number.
    pub bad_actors: Vec<(AlarmKey, u32)>,
    /// Target: 0.
    pub chattering: u32,
    /// Active P1 and P2 that nobody acknowledged for a day. Target: below 5.
    pub stale: u32,
    /// Alerts of the last day that were over within a minute.
    pub fleeting: u32,
    /// Active alerts that staff were or are to be told, P1 to P3.
    pub active: [u32; 3],
    pub suppressed: u32,
    pub shelved: u32,
    pub incidents: u32,
}

/// One row for each ten minutes of log time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KpiRow {
    pub at: UtcTime,
    /// Alerts raised and announcements made in the window.
    pub raised: u32,
    pub annunciated: u32,
    pub flood: bool,
    pub chattering: u32,
    pub stale: u32,
    pub bad_actor_permille: i64,
}

/// Counts at the desk. Times in seconds of log time.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Meter {
    /// Announcements of the last ten minutes.
    pub(super) told: Vec<i64>,
    pub(super) is_flood: bool,
    /// A flood was on at some time of this window.
    pub(super) flood_seen: bool,
    pub(super) raised: u32,
    pub(super) annunciated: u32,
    pub(super) fleeting: u32,
    pub(super) window_ends: i64,
    /// Announcements and floods of the last windows, newest last.
    pub(super) windows: Vec<(u32, bool)>,
    /// Raised today and yesterday, by alert.
    pub(super) load: [BTreeMap<AlarmKey, u32>; 2],
    pub(super) day: i64,
}

impl Meter {
    pub(super) fn start(&mut self, now: i64) {
        self.window_ends = now - now.rem_euclid(WINDOW_S) + WINDOW_S;
        self.day = now.div_euclid(DAY_S);
    }

    /// End of a window that is over.
    pub(super) fn row_due(&mut self, now: i64) -> Option<i64> {
        let oldest = now - DAY_S;
        if self.window_ends < oldest {
            self.window_ends = oldest - oldest.rem_euclid(WINDOW_S) + WINDOW_S;
        }
        (self.window_ends <= now).then_some(self.window_ends)
    }

    pub(super) fn raised(&mut self, key: AlarmKey, now: i64, new: bool) {
        if !new {
            return;
        }
        let day = now.div_euclid(DAY_S);
        if day > self.day {
            let yesterday = std::mem::take(&mut self.load[0]);
            self.load[1] = if day == self.day + 1 { yesterday } else { BTreeMap::new() };
            self.day = day;
        }
        self.raised += 1;
        *self.load[0].entry(key).or_default() += 1;
    }

    pub(super) fn annunciated(&mut self, now: i64) {
        self.annunciated += 1;
        self.told.push(now);
    }

    pub(super) fn fleeting(&mut self) {
        self.fleeting += 1;
    }

    pub(super) fn flood(&mut self, now: i64, params: &DeskParams) {
        self.told.retain(|at| now - at < WINDOW_S);
        let told = i64::try_from(self.told.len()).unwrap_or(i64::MAX);
        if told > params.flood_from * params.operators {
            self.is_flood = true;
        } else if told < params.flood_until * params.operators {
            self.is_flood = false;
        }
        self.flood_seen |= self.is_flood;
    }

    pub(super) fn is_flood(&self) -> bool {
        self.is_flood
    }

    /// The alerts raised most often in these two days, and their share in thousandths.
    fn bad_actors(&self) -> (Vec<(AlarmKey, u32)>, i64) {
        let mut sum: BTreeMap<AlarmKey, u32> = self.load[0].clone();
        for (key, count) in &self.load[1] {
            *sum.entry(*key).or_default() += count;
        }
        let all: i64 = sum.values().map(|count| i64::from(*count)).sum();
        let mut ranked: Vec<(AlarmKey, u32)> = sum.into_iter().collect();
        ranked.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        ranked.truncate(TOP);
        let top: i64 = ranked.iter().map(|(_, count)| i64::from(*count)).sum();
        (ranked, if all == 0 { 0 } else { top * 1_000 / all })
    }
}

impl Desk {
    /// The row of the window that ends at `ends`; the next window begins.
    pub(super) fn kpi_row(&mut self, ends: i64) -> KpiRow {
        let (_, bad_actor_permille) = self.meter.bad_actors();
        let (chattering, stale) = (self.chattering(), self.stale());
        let meter = &mut self.meter;
        let row = KpiRow {
            at: UtcTime::from_seconds(ends),
            raised: meter.raised,
            annunciated: meter.annunciated,
            flood: meter.flood_seen,
            chattering,
            stale,
            bad_actor_permille,
        };
        meter.windows.push((meter.annunciated, meter.flood_seen));
        if meter.windows.len() > WINDOWS {
            meter.windows.remove(0);
        }
        (meter.raised, meter.annunciated, meter.flood_seen) = (0, 0, meter.is_flood);
        if ends.rem_euclid(DAY_S) == 0 {
            meter.fleeting = 0;
        }
        meter.window_ends = ends + WINDOW_S;
        row
    }

    fn chattering(&self) -> u32 {
        count(self.alarms.values().filter(|alarm| alarm.active && alarm.latch > 1).count())
    }

    fn stale(&self) -> u32 {
        let stale = self.alarms.values().filter(|alarm| {
            alarm.active
                && alarm.state == AlarmState::UnackActive
                && alarm.severity <= Severity::P2
                && self.now - alarm.raised_at > self.params.stale_s
        });
        count(stale.count())
    }

    /// The figures now.
    pub fn kpis(&self) -> Kpis {
        let meter = &self.meter;
        let operators = self.params.operators.max(1);
        let (bad_actors, bad_actor_permille) = meter.bad_actors();
        let windows = i64::try_from(meter.windows.len()).unwrap_or(0);
        let day: i64 = meter.windows.iter().map(|(told, _)| i64::from(*told)).sum();
        let floods = meter.windows.iter().filter(|(_, flood)| *flood).count();
        let recent = meter.told.iter().filter(|at| self.now - **at < WINDOW_S).count();
        let told = |severity: Severity| {
            count(
                self.alarms
                    .values()
                    .filter(|alarm| {
                        alarm.active
                            && alarm.severity == severity
                            && matches!(
                                alarm.state,
                                AlarmState::UnackActive | AlarmState::AckActive
                            )
                    })
                    .count(),
            )
        };
        let suppressed =
            |alarm: &&super::desk::Alarm| alarm.active && alarm.state == AlarmState::Suppressed;
        Kpis {
            at: UtcTime::from_seconds(self.now),
            annunciated_per_operator_x100: i64::from(count(recent)) * 100 / operators,
            mean_per_operator_x100: day * 100 / windows.max(1) / operators,
            annunciated_day: (day + i64::from(meter.annunciated)) / operators,
            in_flood: meter.is_flood,
            flood_permille: i64::from(count(floods)) * 1_000 / windows.max(1),
            bad_actor_permille,
            bad_actors,
            chattering: self.chattering(),
            stale: self.stale(),
            fleeting: meter.fleeting,
            active: [told(Severity::P1), told(Severity::P2), told(Severity::P3)],
            suppressed: count(self.alarms.values().filter(suppressed).count()),
            shelved: count(self.shelves.len()),
            incidents: count(self.groups.len()),
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
