//! A meter whose days are closed one after another.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use metering::{
    ChannelAsset, ChannelKind, ChannelNo, Commodity, CustomerClass, DayShape, DeviceFlags,
    LocalCalendar, MeterAsset, MeterDetail, MeterId, Outcome, QualityStatus, Quantity, ReadingType,
    RuleMask, SlotCode, Tag, UsagePointId, UtcTime,
};
use vee::day::{Around, DayInput, DaySlot, DaySummary, DayVerdict, RegisterPoint, close_day};
use vee::{Params, Rule};

/// 1 Wh and 1 L.
pub(crate) const UNIT: i64 = 1000;

pub(crate) struct Rig {
    pub(crate) meter: MeterAsset,
    pub(crate) params: Params,
    pub(crate) calendar: LocalCalendar,
    /// The day that is closed next.
    pub(crate) day: DayShape,
    pub(crate) slots: Vec<DaySlot>,
    pub(crate) registers: Vec<RegisterPoint>,
    pub(crate) history: Vec<DaySummary>,
}

pub(crate) fn meter(commodity: Commodity, class: CustomerClass) -> MeterAsset {
    let (reading_type, cap_per_hour) = match commodity {
        Commodity::Electricity => (ReadingType::ENERGY_IMPORT, 54_000_000),
        Commodity::Heat => {
            let heat = ReadingType { quantity: Quantity::EnergyThermal, ..ReadingType::VOLUME };
            (heat, 54_000_000)
        }
        _ => (ReadingType::VOLUME, 3_900_000),
    };
    MeterAsset {
        meter: MeterId::new(7),
        usage_point: UsagePointId::new(70),
        commodity,
        class,
        zone: "Europe/Berlin".to_owned(),
        tags: Vec::new(),
        battery_powered: false,
        account_active: true,
        primary_collector: None,
        installed_at: UtcTime::from_seconds(0),
        contact_every_s: 3600,
        flow_rated_lph: 2500,
        detail: MeterDetail::default(),
        channels: vec![ChannelAsset {
            channel: ChannelNo::new(1),
            reading_type,
            kind: ChannelKind::Interval,
            len_s: 900,
            resolution: UNIT,
            cap_per_hour,
            delivery_lag_s: 14_400,
        }],
    }
}

impl Rig {
    /// The first day is local, such as `2026-06-01`.
    pub(crate) fn new(meter: MeterAsset, first_day: &str) -> Self {
        let calendar = LocalCalendar::new(&meter.zone).unwrap();
        let noon = UtcTime::parse_rfc3339(&format!("{first_day}T12:00:00Z")).unwrap();
        let day = calendar.day_containing(noon);
        let params = Params::default();
        Self {
            meter,
            params,
            calendar,
            day,
            slots: Vec::new(),
            registers: Vec::new(),
            history: Vec::new(),
        }
    }

    pub(crate) fn home(first_day: &str) -> Self {
        Self::new(meter(Commodity::Electricity, CustomerClass::Residential), first_day)
    }

    pub(crate) fn water(first_day: &str) -> Self {
        Self::new(meter(Commodity::Water, CustomerClass::Residential), first_day)
    }

    pub(crate) fn tagged(mut self, tag: Tag) -> Self {
        self.meter.tags.push(tag);
        self
    }

    /// Puts down what arrived for the next day: `value` tells each slot's, by its number.
    pub(crate) fn arrive(&mut self, mut value: impl FnMut(usize) -> Option<i64>) -> &mut Self {
        let len_s = self.meter.channels[0].len_s;
        let raw = SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE);
        for (at, slot) in self.day.slots(len_s).enumerate() {
            if let Some(value) = value(at) {
                self.slots.push(DaySlot::arrived(slot.end(), value, raw, RuleMask::EMPTY));
            }
        }
        self
    }

    /// The slot of the next day by its number.
    pub(crate) fn slot(&mut self, at: usize) -> &mut DaySlot {
        let end = self.day.start.plus_seconds(900 * (at as i64 + 1));
        self.slots.iter_mut().find(|slot| slot.end == end).unwrap()
    }

    pub(crate) fn flag(&mut self, at: usize, flags: DeviceFlags) -> &mut Self {
        self.slot(at).arrived = SlotCode::new(QualityStatus::Raw, flags);
        self
    }

    pub(crate) fn read(&mut self, read_at: UtcTime, value: i64) -> &mut Self {
        self.registers.push(RegisterPoint { read_at, value, step: UNIT, usable: true });
        self
    }

    /// What is said of the next day; nothing moves on.
    pub(crate) fn judge(&self, around: Around<'_>) -> DayVerdict {
        let from = self.day.start.plus_seconds(-vee::day::LOOK_BACK_S);
        let seen = |slot: &DaySlot| slot.end > from && slot.end <= self.day.end;
        let slots: Vec<DaySlot> = self.slots.iter().filter(|slot| seen(slot)).copied().collect();
        let closed = self.history.iter().find(|summary| summary.from == self.day.start);
        let before: Vec<DaySummary> =
            self.history.iter().filter(|day| day.to <= self.day.start).copied().collect();
        let input = DayInput {
            meter: &self.meter,
            channel: &self.meter.channels[0],
            day: self.day,
            change: self.calendar.change_within(self.day),
            slots: &slots,
            registers: &self.registers,
            history: &before,
            closed,
            around,
        };
        close_day(&input, &self.params)
    }

    /// Closes the next day as the store would and moves on.
    pub(crate) fn close_with(&mut self, around: Around<'_>) -> DayVerdict {
        let verdict = self.judge(around);
        for change in &verdict.changes {
            let slot = self.slots.iter_mut().find(|slot| slot.end == change.end).unwrap();
            slot.best = change.status;
            slot.failed = change.failed;
        }
        self.history.retain(|summary| summary.from != self.day.start);
        self.history.push(verdict.summary);
        self.history.sort_by_key(|summary| summary.from);
        self.day = self.calendar.day_containing(self.day.end);
        verdict
    }

    pub(crate) fn close(&mut self) -> DayVerdict {
        self.close_with(Around::default())
    }

    /// Back by one day, to close it again.
    pub(crate) fn back(&mut self) -> &mut Self {
        self.day = self.calendar.day_containing(self.day.start.plus_seconds(-1));
        self
    }
}

/// A home's day: peaks in the morning and the evening, never twice the same value.
pub(crate) fn usual(at: usize) -> Option<i64> {
    let base = 40 + (at as i64 * 7919) % 23;
    let peak = match at {
        26..=32 => 120,
        70..=86 => 260,
        _ => 0,
    };
    Some((base + peak) * UNIT)
}

/// `rule outcome kind detail`, one a line; passes without what is always 0.
pub(crate) fn told(verdict: &DayVerdict) -> String {
    let line = |finding: &metering::Finding| {
        let rule = Rule::ALL.iter().find(|rule| rule.number() == finding.rule.get()).unwrap();
        match finding.outcome {
            Outcome::Pass => format!("{rule} Pass"),
            outcome => format!("{rule} {outcome:?} {} {}", finding.kind, finding.detail),
        }
    };
    verdict.findings.iter().map(line).collect::<Vec<_>>().join(" | ")
}

/// What is said of one rule; empty when nothing is.
pub(crate) fn of(verdict: &DayVerdict, rule: Rule) -> String {
    let all = told(verdict);
    let own = |line: &&str| line.split(' ').next() == Some(rule.id());
    all.split(" | ").filter(own).collect::<Vec<_>>().join(" | ")
}

/// Numbers of the suspect slots of the day.
pub(crate) fn suspect(verdict: &DayVerdict) -> Vec<i64> {
    let at = |slot: &vee::day::SlotVersion| slot.end.seconds_since(verdict.summary.from) / 900 - 1;
    verdict.suspect.iter().map(at).collect()
}
