//! Bundles: what meters with an own connection or a place in a mesh send.

use std::collections::VecDeque;

use metering::{Commodity, Flow, UtcTime};

use crate::calendar::Days;
use crate::fleet::Outbox;
use crate::json::JsonText;
use crate::meter::{Register, SimMeter};
use crate::rng::{Purpose, Stream};
use crate::truth::TruthRead;

/// Interval length of all bundle meters, in seconds.
pub(crate) const SLOT_S: i64 = 900;
/// Slots of two days are kept to be sent again.
const KEPT_SLOTS: usize = 200;
/// A report holds no more slots than this; the rest follows with the next.
const REPORT_SLOTS_MAX: usize = 2_000;

/// The sending side of one bundle meter. It keeps what has not been sent.
#[derive(Debug)]
pub(crate) struct BundleSender {
    register: Register,
    stream: Stream,
    /// End of the first slot that has not been sent.
    next_end: UtcTime,
    counts: [i64; 2],
    kept: VecDeque<Slot>,
    event_seq: i64,
}

/// Consumption of one slot in counts; `None` when the meter lost it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    end: UtcTime,
    values: [Option<i64>; 2],
}

/// When and through whom a report is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) collector: Option<&'a str>,
    pub(crate) sent: UtcTime,
    /// Slots that end later are not in the report.
    pub(crate) upto: UtcTime,
}

impl BundleSender {
    /// The first slot begins at or after `start`.
    pub(crate) fn new(seed: u64, meter: &SimMeter, days: &Days, start: UtcTime) -> Self {
        let mut register = Register::new(seed, meter);
        let first_start = start.plus_seconds(SLOT_S - 1).floor_to(SLOT_S);
        let counts = register.counts_at(meter, days, first_start);
        Self {
            register,
            stream: Stream::new(seed, Purpose::Sending, meter.index, 0),
            next_end: first_start.plus_seconds(SLOT_S),
            counts,
            kept: VecDeque::with_capacity(KEPT_SLOTS),
            event_seq: 0,
        }
    }

    /// Number of slots that have ended by `upto` and have not been sent.
    pub(crate) fn waiting(&self, upto: UtcTime) -> i64 {
        (upto.seconds_since(self.next_end) / SLOT_S + 1).max(0)
    }

    /// The meter tries to send and its link fails; it keeps the slots.
    pub(crate) fn link_fails(&mut self, meter: &SimMeter) -> bool {
        self.stream.chance(0.015) && !meter.good_link
    }

    /// Writes the report as one JSON object and returns the number of values in it; 0 and no text
    /// when there is nothing to send.
    pub(crate) fn report(
        &mut self,
        meter: &SimMeter,
        days: &Days,
        sending: Sending<'_>,
        text: &mut JsonText,
        outbox: &mut Outbox,
    ) -> u32 {
        let (slots, midnights) = self.collect(meter, days, sending.upto);
        let Some(first) = slots.first() else { return 0 };
        self.head(meter, sending, text);
        text.raw(r#","series":["#);
        let mut reads = 0;
        for (which, field) in fields(meter).iter().enumerate() {
            text.raw(if which == 0 { "" } else { "," });
            write_series(field, first.end, slots.iter().map(|slot| slot.values[which]), text);
            for slot in &slots {
                if let Some(value) = slot.values[which] {
                    reads += 1;
                    outbox.note(|| read(meter, field, slot.end, SLOT_S, value));
                }
            }
        }
        text.raw("]");
        reads += write_midnights(meter, &midnights, text, outbox);
        reads += self.voltage(meter, sending.upto, text, outbox);
        self.battery_event(meter, sending.sent, text);
        text.raw("}");
        for slot in slots {
            if self.kept.len() == KEPT_SLOTS {
                self.kept.pop_front();
            }
            self.kept.push_back(slot);
        }
        reads
    }

    /// Writes again what ended in `(from, to]`, without registers; returns the number of values.
    pub(crate) fn resend(
        &mut self,
        meter: &SimMeter,
        (from, to): (UtcTime, UtcTime),
        sending: Sending<'_>,
        text: &mut JsonText,
    ) -> u32 {
        let again: Vec<Slot> =
            self.kept.iter().filter(|slot| from < slot.end && slot.end <= to).copied().collect();
        let Some(first) = again.first() else { return 0 };
        self.head(meter, sending, text);
        text.raw(r#","series":["#);
        let mut reads = 0;
        for (which, field) in fields(meter).iter().enumerate() {
            text.raw(if which == 0 { "" } else { "," });
            write_series(field, first.end, again.iter().map(|slot| slot.values[which]), text);
            let values = again.iter().filter(|slot| slot.values[which].is_some()).count();
            reads += u32::try_from(values).unwrap_or(0);
        }
        text.raw("]}");
        reads
    }

    /// Slots to send, and the register at each local midnight among their ends.
    fn collect(
        &mut self,
        meter: &SimMeter,
        days: &Days,
        upto: UtcTime,
    ) -> (Vec<Slot>, Vec<(UtcTime, [i64; 2])>) {
        let (mut slots, mut midnights) = (Vec::new(), Vec::new());
        while self.next_end <= upto && slots.len() < REPORT_SLOTS_MAX {
            let end = self.next_end;
            let counts = self.register.counts_at(meter, days, end);
            // A meter that lost an interval (a reset, a brown-out) says so; its register goes on.
            let lost = meter.commodity == Commodity::Electricity
                && self.stream.chance(0.000_3)
                && !meter.good_link;
            let advance = |which: usize| (!lost).then(|| counts[which] - self.counts[which]);
            let import = advance(0).map(|value| meter.sent(end, value));
            slots.push(Slot { end, values: [import, advance(1)] });
            if days.get(days.index_of(end)).is_some_and(|day| day.start == end) {
                midnights.push((end, counts));
            }
            self.counts = counts;
            self.next_end = end.plus_seconds(SLOT_S);
        }
        (slots, midnights)
    }

    fn head(&mut self, meter: &SimMeter, sending: Sending<'_>, text: &mut JsonText) {
        text.raw(r#"{"v":1,"meter":""#);
        text.raw(&meter.number);
        if let Some(collector) = sending.collector {
            text.raw(r#"","collector":""#);
            text.raw(collector);
        }
        text.raw(r#"","sent":""#);
        text.time(sending.sent.plus_seconds(meter.clock_offset_s));
        text.raw("\"");
        if sending.collector.is_some() {
            text.raw(r#","rssi":"#);
            text.int(meter.rssi_dbm + self.stream.between(-4, 4));
        }
        let low = meter.battery_is_low(sending.sent);
        if meter.commodity != Commodity::Electricity {
            text.raw(r#","battery_mv":"#);
            let full = if low { 3_120 } else { 3_600 };
            text.int(full + self.stream.between(-15, 15));
        }
        if low {
            text.raw(r#","status":["battery_low"]"#);
        }
    }

    fn voltage(
        &mut self,
        meter: &SimMeter,
        at: UtcTime,
        text: &mut JsonText,
        outbox: &mut Outbox,
    ) -> u32 {
        if meter.commodity != Commodity::Electricity {
            return 0;
        }
        let tenths = self.stream.between(2_265, 2_360);
        text.raw(r#","instants":[{"field":"voltage","unit":"V","at":""#);
        text.time(at);
        text.raw(r#"","value":""#);
        text.int(tenths / 10);
        text.raw(".");
        text.int(tenths % 10);
        text.raw(r#""}]"#);
        outbox.note(|| read(meter, "voltage", at, 0, tenths));
        1
    }

    fn battery_event(&mut self, meter: &SimMeter, sent: UtcTime, text: &mut JsonText) {
        if !meter.battery_events || !meter.battery_is_low(sent) {
            return;
        }
        self.event_seq += 1;
        text.raw(r#","events":[{"code":"battery_low","at":""#);
        text.time(sent);
        text.raw(r#"","seq":"#);
        text.int(self.event_seq);
        text.raw(r#","detail":"3.1 V"}]"#);
    }
}

/// Names of the series of a meter, import first.
pub(crate) fn fields(meter: &SimMeter) -> &'static [&'static str] {
    match meter.commodity {
        Commodity::Electricity if meter.is_produced() => &["energy_import", "energy_export"],
        Commodity::Electricity => &["energy_import"],
        _ => &["volume"],
    }
}

/// Direction of a series named by [`fields`].
pub(crate) fn flow_of(field: &str) -> Flow {
    match field {
        "energy_import" => Flow::Import,
        "energy_export" => Flow::Export,
        _ => Flow::None,
    }
}

fn unit_of(meter: &SimMeter) -> &'static str {
    if meter.commodity == Commodity::Electricity { "Wh" } else { "L" }
}

fn write_series(
    field: &str,
    first_end: UtcTime,
    values: impl Iterator<Item = Option<i64>>,
    text: &mut JsonText,
) {
    text.raw(r#"{"field":""#);
    text.raw(field);
    text.raw(if field == "volume" {
        r#"","unit":"L","len":900,"end":""#
    } else {
        r#"","unit":"Wh","len":900,"end":""#
    });
    text.time(first_end);
    text.raw(r#"","exp":0,"values":["#);
    for (index, value) in values.enumerate() {
        text.raw(if index == 0 { "" } else { "," });
        match value {
            Some(value) => text.int(value),
            None => text.raw("null"),
        }
    }
    text.raw("]}");
}

fn write_midnights(
    meter: &SimMeter,
    midnights: &[(UtcTime, [i64; 2])],
    text: &mut JsonText,
    outbox: &mut Outbox,
) -> u32 {
    let mut reads = 0;
    for (at, counts) in midnights {
        for (which, field) in fields(meter).iter().enumerate() {
            text.raw(if reads == 0 { r#","registers":[{"field":""# } else { r#",{"field":""# });
            text.raw(field);
            text.raw(r#"","unit":""#);
            text.raw(unit_of(meter));
            text.raw(r#"","at":""#);
            text.time(*at);
            text.raw(r#"","value":""#);
            let shown = meter.dial.shown(counts[which]);
            text.int(shown);
            text.raw(r#""}"#);
            outbox.note(|| read(meter, field, *at, 0, shown));
            reads += 1;
        }
    }
    if reads > 0 {
        text.raw("]");
    }
    reads
}

fn read(meter: &SimMeter, field: &str, at: UtcTime, len_s: i64, value: i64) -> TruthRead {
    TruthRead {
        meter: meter.number.clone(),
        field: field.to_owned(),
        at,
        len_s: i32::try_from(len_s).unwrap_or(0),
        value,
    }
}
