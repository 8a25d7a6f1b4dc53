//! The look-alikes. Each is within the limits of the rules, or the usage point has a tag for it.

use jiff::civil::Weekday;
use metering::{Commodity, CustomerClass, Tag, UtcTime};

use crate::link::HEARTBEAT_S;
use crate::meter::{Path, Protocol, SimMeter};
use crate::truth::{HardNegativeKind, SubjectName};
use crate::usage::{Change, ConstantWater, Effect, HomeWater, Model, ShopWater, Span};

use super::{DAY_S, HOUR_S, Planner, Reread, Room};
use crate::rng::{Purpose, Stream};

/// Days from the start within which weekends cannot be judged by VAR, whichever way an
/// implementation counts its 14 days: weekends pooled are 10 of 35.
const EARLY_S: i64 = 30 * DAY_S;

impl Planner<'_> {
    pub(super) fn plan_negatives(&mut self) {
        self.dst_days();
        let plans: [fn(&mut Self) -> Option<()>; 12] = [
            Self::storm,
            Self::rollover,
            Self::hiccup,
            Self::reread,
            Self::backlog,
            Self::radio_fade,
            Self::pool,
            Self::vacation,
            Self::garden,
            Self::hospital,
            Self::weekend_shop,
            Self::vacant,
        ];
        for plan in plans {
            for _ in 0..self.scaled(1) {
                // Without room or a free meter there is no such look-alike in this fleet.
                let _planned = plan(self);
            }
        }
    }

    fn history(&self, after_start_s: i64, before_live_s: i64) -> Room {
        Room {
            from: self.spec.history_start.plus_seconds(after_start_s),
            to: self.spec.live_start.plus_seconds(-before_live_s),
        }
    }

    fn whole_run(&self) -> Span {
        Span { from: self.spec.history_start, to: self.spec.live_end }
    }

    fn dst_days(&mut self) {
        let run = self.whole_run();
        let odd: Vec<Span> = self
            .days
            .all()
            .iter()
            .map(|day| (day.cells(900), Span { from: day.start, to: day.end }))
            .filter(|(cells, day)| *cells != 96 && run.from <= day.from && day.to <= run.to)
            .map(|(_, day)| day)
            .collect();
        for day in odd {
            self.add_negative(HardNegativeKind::DstDay, SubjectName::Fleet, day);
        }
    }

    /// R900 repeats its telegram, and a receiver prints each copy.
    fn storm(&mut self) -> Option<()> {
        let from = self.instant(self.history(DAY_S, DAY_S), 60)?;
        let span = Span { from, to: from.plus_seconds(2 * HOUR_S) };
        let index = self.pick(span, |meter| {
            matches!(meter.path, Path::Radio { protocol: Protocol::R900, .. })
        })?;
        self.plan.storms.push((index, from));
        self.add_negative(HardNegativeKind::RebroadcastStorm, self.subject(index), span);
        Some(())
    }

    /// The counter of a gas meter is set so that it passes 2^24 in the middle of the history.
    fn rollover(&mut self) -> Option<()> {
        let middle = self.days.index_of(self.spec.live_start) / 2;
        let from = self.days.get(middle.checked_sub(1)?)?.start;
        let span = Span { from, to: self.days.get(middle + 1)?.end };
        let index = self.pick(span, |meter| meter.commodity == Commodity::Gas)?;
        let (seed, days) = (self.spec.seed, self.days);
        let meter = self.meter(index);
        let before = |(index, day)| meter.day_use(seed, index, day).import.iter().sum::<i64>();
        let used: i64 = days.all().iter().enumerate().take(middle).map(before).sum();
        meter.start[0] = meter.dial.modulus - meter.dial.counts(used);
        meter.good_link = true;
        self.add_negative(HardNegativeKind::RegisterRollover, self.subject(index), span);
        Some(())
    }

    /// The collector is away just long enough to miss one heartbeat and perhaps a batch.
    fn hiccup(&mut self) -> Option<()> {
        let around = self.instant(self.history(DAY_S, DAY_S), 1)?;
        let near = Span { from: around.plus_seconds(-HOUR_S), to: around.plus_seconds(2 * HOUR_S) };
        let index = self.pick_collector(near)?;
        let collector = &mut self.layout.collectors[index];
        let beat = around.floor_to(HEARTBEAT_S).plus_seconds(collector.heartbeat_phase_s);
        let from = beat.plus_seconds(20);
        let span = Span { from, to: from.plus_seconds(HEARTBEAT_S + 60) };
        collector.outages.push(span);
        let subject = SubjectName::Collector(collector.code.clone());
        self.add_negative(HardNegativeKind::CollectorHiccup, subject, span);
        Some(())
    }

    /// All slots of one day of all meters behind a collector are sent once more.
    fn reread(&mut self) -> Option<()> {
        let day = self.instant(self.history(2 * DAY_S, 3 * DAY_S), 60)?;
        let day = *self.days.get(self.days.index_of(day))?;
        let at = day.end.plus_seconds(self.stream.between(3 * HOUR_S, 10 * HOUR_S));
        let near = Span { from: day.start, to: at.plus_seconds(HOUR_S) };
        let collector = self.pick_collector(near)?;
        self.plan.rereads.push(Reread { collector, at, from: day.start, to: day.end });
        let subject = SubjectName::Collector(self.layout.collectors[collector].code.clone());
        let span = Span { from: at, to: at.plus_seconds(HOUR_S) };
        self.add_negative(HardNegativeKind::MassReread, subject, span);
        Some(())
    }

    /// A meter without network for less than a day sends everything later.
    fn backlog(&mut self) -> Option<()> {
        let hours = self.stream.between(8, 15);
        let span = self.fade_span(hours)?;
        let index = self.pick(span, |meter| meter.commodity == Commodity::Electricity)?;
        self.meter(index).fades.push(span);
        self.add_negative(HardNegativeKind::Backlog, self.subject(index), span);
        Some(())
    }

    /// A radio meter is not heard for less than two days; its limit is three.
    fn radio_fade(&mut self) -> Option<()> {
        let hours = self.stream.between(14, 40);
        let span = self.fade_span(hours)?;
        let index = self.pick(span, |meter| matches!(meter.path, Path::Radio { .. }))?;
        self.meter(index).fades.push(span);
        self.add_negative(HardNegativeKind::RadioFade, self.subject(index), span);
        Some(())
    }

    fn fade_span(&mut self, hours: i64) -> Option<Span> {
        let from = self.instant(self.history(3 * DAY_S, 3 * DAY_S), 1)?;
        Some(Span { from, to: from.plus_seconds(hours * HOUR_S) })
    }

    /// Half a day of hose flow at a weekend; the usage point is tagged.
    fn pool(&mut self) -> Option<()> {
        let start = self.early_day(&[Weekday::Saturday, Weekday::Sunday])?;
        let from = start.plus_seconds(HOUR_S * self.stream.between(8, 11));
        let span = Span { from, to: from.plus_seconds(HOUR_S * self.stream.between(6, 10)) };
        let lph = self.stream.between(600, 850);
        let index = self.pick(span, is_mesh_home)?;
        let meter = self.meter(index);
        meter.tags.push(Tag::PoolFill);
        meter.changes.push(Change { span, effect: Effect::Add(lph * 1000) });
        self.add_negative(HardNegativeKind::PoolFill, self.subject(index), span);
        Some(())
    }

    /// Friday to Monday without any use: two weekdays, less than VAR-LOW asks for.
    fn vacation(&mut self) -> Option<()> {
        let from = self.early_day(&[Weekday::Friday])?;
        let last = self.days.get(self.days.index_of(from) + 3)?;
        let span = Span { from, to: last.end };
        let index = self.pick(span, is_mesh_home)?;
        let effect = Effect::Scale(0);
        self.meter(index).changes.push(Change { span, effect });
        self.add_negative(HardNegativeKind::Vacation, self.subject(index), span);
        Some(())
    }

    fn garden(&mut self) -> Option<()> {
        let span = self.whole_run();
        let index = self.pick(span, is_mesh_home).or_else(|| self.pick_any_home())?;
        let lph = self.stream.between(400, 700);
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, index, 3);
        let meter = self.meter(index);
        meter.model = Model::HomeWater(HomeWater::draw(&mut stream).with_garden(lph));
        meter.tags.push(Tag::Irrigation);
        self.add_negative(HardNegativeKind::IrrigationSeason, self.subject(index), span);
        Some(())
    }

    fn hospital(&mut self) -> Option<()> {
        let span = self.whole_run();
        let index = self.pick_any_home()?;
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, index, 3);
        let meter = self.meter(index);
        meter.model = Model::ConstantWater(ConstantWater::draw(&mut stream));
        meter.class = CustomerClass::LargeCommercial;
        meter.flow_rated_lph = 10_000;
        meter.tags.push(Tag::Hospital);
        self.add_negative(HardNegativeKind::ConstantFlow, self.subject(index), span);
        Some(())
    }

    fn weekend_shop(&mut self) -> Option<()> {
        let span = self.whole_run();
        let index = self.pick_any_home()?;
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, index, 3);
        let meter = self.meter(index);
        meter.model = Model::ShopWater(ShopWater::draw(&mut stream, false));
        meter.class = CustomerClass::SmallCommercial;
        meter.flow_rated_lph = 4_000;
        self.add_negative(HardNegativeKind::WeekendZero, self.subject(index), span);
        Some(())
    }

    fn vacant(&mut self) -> Option<()> {
        let span = self.whole_run();
        let index = self.pick_any_home()?;
        let meter = self.meter(index);
        meter.model = Model::Nothing;
        meter.tags.push(Tag::Vacant);
        self.add_negative(HardNegativeKind::Vacant, self.subject(index), span);
        Some(())
    }

    /// A home with a water meter of any kind, whatever its collector does.
    fn pick_any_home(&mut self) -> Option<usize> {
        let never = Span { from: UtcTime::MIN, to: UtcTime::MIN };
        self.pick(never, |meter| matches!(meter.model, Model::HomeWater(_)))
    }

    /// Start of an early whole day of one of the weekdays, well before the end of the history.
    fn early_day(&mut self, weekdays: &[Weekday]) -> Option<UtcTime> {
        let latest = self.spec.live_start.plus_seconds(-5 * DAY_S);
        let latest = latest.min(self.spec.history_start.plus_seconds(EARLY_S));
        let earliest = self.spec.history_start;
        let candidates: Vec<UtcTime> = self
            .days
            .all()
            .iter()
            .filter(|day| weekdays.contains(&day.weekday))
            .filter(|day| earliest <= day.start && day.end <= latest)
            .map(|day| day.start)
            .collect();
        candidates.get(self.stream.index(candidates.len())).copied()
    }
}

fn is_mesh_home(meter: &SimMeter) -> bool {
    matches!(meter.path, Path::Batch { .. }) && matches!(meter.model, Model::HomeWater(_))
}
