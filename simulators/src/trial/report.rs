//! Reports of a trial's meters, as bundles (`docs/bundle.md`).

use metering::{Commodity, UtcTime};

use super::device::{Device, SLOT_S, Slot};
use super::twist::{Part, Twist};
use crate::json::JsonText;

/// When and through whom a report is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) collector: &'a str,
    /// Reports before this one; tells which of several are due.
    pub(crate) number: i64,
    pub(crate) sent: UtcTime,
}

/// Voltage goes with every third report.
const VOLTAGE_EVERY: i64 = 3;
const DAY_S: i64 = 86_400;
/// Loaded voltage of a full cell, in mV.
const FULL_MV: i64 = 3_620;

impl Device {
    /// Writes the report as a JSON object and returns the number of values in it.
    pub(crate) fn report(&mut self, sending: Sending<'_>, text: &mut JsonText) -> u32 {
        let sent = sending.sent;
        let length = self.length(sent);
        let upto = sent.floor_to(length.unwrap_or(SLOT_S));
        let ready = self.state.waiting.iter().take_while(|slot| slot.end <= upto).count();
        let slots: Vec<Slot> = self.state.waiting.drain(..ready).collect();
        let ahead_s = self.clock_s(sent);
        text.raw(r#"{"v":1,"meter":""#);
        text.raw(&self.number);
        text.raw(r#"","collector":""#);
        text.raw(sending.collector);
        text.raw(r#"","sent":""#);
        text.time(sent.plus_seconds(ahead_s));
        text.raw(r#"","rssi":"#);
        let rssi = self.rssi(sent);
        text.int(rssi);
        self.status(sent, text);
        let mut reads = self.series(&slots, sent, text);
        reads += self.registers(upto, text);
        reads += self.instants(sending, upto, text);
        self.events(sent, text);
        text.raw("}");
        self.state.reported_to = sent;
        reads
    }

    /// The report of the same slots with other values, as a second system would send it.
    pub(crate) fn contradiction(
        &mut self,
        slots: &[Slot],
        sending: Sending<'_>,
        text: &mut JsonText,
    ) -> u32 {
        let other: Vec<Slot> =
            slots.iter().map(|slot| Slot { import: slot.import + 3, ..*slot }).collect();
        text.raw(r#"{"v":1,"meter":""#);
        text.raw(&self.number);
        text.raw(r#"","sent":""#);
        text.time(sending.sent);
        text.raw("\"");
        let reads = self.series(&other, sending.sent, text);
        text.raw("}");
        reads
    }

    /// Slots that the next report holds.
    pub(crate) fn next_slots(&self, sent: UtcTime) -> Vec<Slot> {
        let upto = sent.floor_to(SLOT_S);
        self.state.waiting.iter().take_while(|slot| slot.end <= upto).copied().collect()
    }

    fn rssi(&mut self, at: UtcTime) -> i64 {
        let faded: i64 = self
            .parts
            .iter()
            .filter(|part| part.twist == Twist::Fading && at >= part.span.from)
            .map(|part| part.faded(at, 22))
            .sum();
        let base = -78 - i64::try_from(self.index % 13).unwrap_or(0);
        base - faded + self.state.stream().between(-3, 3)
    }

    fn status(&self, at: UtcTime, text: &mut JsonText) {
        let mut words = 0;
        for part in self.parts.iter().filter(|part| part.span.contains(at)) {
            let Twist::Status(word) = part.twist else { continue };
            text.raw(if words == 0 { r#","status":[""# } else { r#",""# });
            text.raw(word);
            text.raw("\"");
            words += 1;
        }
        if words > 0 {
            text.raw("]");
        }
    }

    fn series(&self, slots: &[Slot], sent: UtcTime, text: &mut JsonText) -> u32 {
        if slots.is_empty() {
            return 0;
        }
        let (field, unit) = self.field(sent);
        let mut reads = 0;
        text.raw(r#","series":["#);
        let length = self.length(sent);
        let shift_s: i64 = self
            .parts
            .iter()
            .filter(|part| matches!(part.twist, Twist::Shift(_)))
            .map(|part| part.clock_s(sent))
            .sum();
        for run in slots.chunk_by(|a, b| b.end.seconds_since(a.end) == SLOT_S) {
            let mut one = |field: &str, unit: &str, value: fn(&Slot) -> i64| {
                let series = Series { field, unit, length, shift_s, run, first: reads == 0 };
                reads += series.write(value, text);
            };
            one(field, unit, |slot| slot.import);
            if self.export {
                one("energy_export", "Wh", |slot| slot.export);
            }
            if self.reactive {
                one("reactive_import", "varh", |slot| slot.reactive);
            }
        }
        text.raw("]");
        reads
    }

    fn registers(&mut self, upto: UtcTime, text: &mut JsonText) -> u32 {
        let mut reads = 0;
        let (field, _) = self.field(upto);
        let unit = if self.commodity == Commodity::Electricity { "Wh" } else { "L" };
        while let Some(midnight) = self.state.midnights.front().copied() {
            if midnight.at > upto {
                break;
            }
            self.state.midnights.pop_front();
            let mut one = |field: &str, value: i64| {
                text.raw(if reads == 0 { r#","registers":[{"field":""# } else { r#",{"field":""# });
                text.raw(field);
                text.raw(r#"","unit":""#);
                text.raw(unit);
                text.raw(r#"","at":""#);
                text.time(midnight.at);
                text.raw(r#"","value":""#);
                text.int(value);
                text.raw(r#""}"#);
                reads += 1;
            };
            one(field, midnight.register);
            if self.rates {
                one("energy_import_t1", midnight.rates[0]);
                one("energy_import_t2", midnight.rates[1]);
            }
        }
        if reads > 0 {
            text.raw("]");
        }
        reads
    }

    fn instants(&mut self, sending: Sending<'_>, upto: UtcTime, text: &mut JsonText) -> u32 {
        let due = (sending.number + i64::try_from(self.index).unwrap_or(0)) % VOLTAGE_EVERY == 0;
        if self.commodity != Commodity::Electricity || !due {
            return 0;
        }
        let tenths = self.state.stream().between(2_265, 2_360);
        text.raw(r#","instants":[{"field":"voltage","unit":"V","at":""#);
        text.time(upto);
        text.raw(r#"","value":""#);
        text.int(tenths / 10);
        text.raw(".");
        text.int(tenths % 10);
        text.raw(r#""}]"#);
        1
    }

    /// Events since the last report, and once a day the voltage of the cell.
    fn events(&mut self, sent: UtcTime, text: &mut JsonText) {
        let since = self.state.reported_to;
        let mut due: Vec<(UtcTime, &'static str, i64)> = Vec::new();
        for part in &self.parts {
            let Twist::Event { code, detail, every_s } = part.twist else { continue };
            let mut at = part.span.from;
            if every_s > 0 && since > at {
                at = at.plus_seconds((since.seconds_since(at) / every_s + 1) * every_s);
            }
            while at <= sent && at < part.span.to {
                if at > since {
                    due.push((at, code, detail));
                }
                if every_s == 0 {
                    break;
                }
                at = at.plus_seconds(every_s);
            }
        }
        let day = sent.seconds().div_euclid(DAY_S);
        if self.commodity != Commodity::Electricity && since.seconds().div_euclid(DAY_S) != day {
            due.push((sent, "battery_voltage", self.cell_mv(sent)));
        }
        for (at, code, detail) in due {
            self.state.event_seq += 1;
            let first = !std::mem::replace(&mut self.state.events_open, true);
            text.raw(if first { r#","events":[{"code":""# } else { r#",{"code":""# });
            text.raw(code);
            text.raw(r#"","at":""#);
            text.time(at);
            text.raw(r#"","seq":"#);
            text.int(self.state.event_seq);
            text.raw(r#","detail":""#);
            text.int(detail);
            text.raw(r#""}"#);
        }
        if std::mem::take(&mut self.state.events_open) {
            text.raw("]");
        }
    }

    fn cell_mv(&mut self, at: UtcTime) -> i64 {
        let fallen: i64 = self
            .parts
            .iter()
            .filter_map(|part| match part.twist {
                Twist::Cell { drop_mv, per_day } if part.span.contains(at) => {
                    Some(drop_mv + per_day * at.seconds_since(part.span.from) / DAY_S)
                }
                _ => None,
            })
            .sum();
        (FULL_MV - fallen + self.state.stream().between(-8, 8)).max(1_800)
    }

    /// Length of the slots, when it is not that of the asset record.
    fn length(&self, at: UtcTime) -> Option<i64> {
        self.parts.iter().find_map(|part| match part.twist {
            Twist::Length(len_s) if part.span.contains(at) => Some(len_s),
            _ => None,
        })
    }

    fn field(&self, at: UtcTime) -> (&'static str, &'static str) {
        let other = |part: &Part| part.twist == Twist::Unit && part.span.contains(at);
        match self.commodity {
            Commodity::Electricity => ("energy_import", "Wh"),
            _ if self.parts.iter().any(other) => ("volume", "gal"),
            _ => ("volume", "L"),
        }
    }
}

/// One series of slots without holes.
struct Series<'a> {
    field: &'a str,
    unit: &'a str,
    length: Option<i64>,
    shift_s: i64,
    run: &'a [Slot],
    first: bool,
}

impl Series<'_> {
    fn write(&self, value: fn(&Slot) -> i64, text: &mut JsonText) -> u32 {
        let length = self.length.unwrap_or(SLOT_S);
        // Slots of a longer length are those of ours taken together; the odd one is not told.
        let whole = |slot: &&Slot| slot.end.seconds().rem_euclid(length) == 0;
        let Some(first) = self.run.iter().find(whole) else { return 0 };
        let merged = usize::try_from(length / SLOT_S).unwrap_or(1).max(1);
        text.raw(if self.first { r#"{"field":""# } else { r#",{"field":""# });
        text.raw(self.field);
        text.raw(r#"","unit":""#);
        text.raw(self.unit);
        text.raw(r#"","len":"#);
        text.int(length);
        text.raw(r#","end":""#);
        text.time(first.end.plus_seconds(self.shift_s));
        text.raw(r#"","values":["#);
        let mut count = 0;
        for (at, slot) in self.run.iter().enumerate().filter(|(_, slot)| whole(slot)) {
            text.raw(if count == 0 { "" } else { "," });
            let from = (at + 1).saturating_sub(merged);
            text.int(if merged == 1 {
                value(slot)
            } else {
                self.run[from..=at].iter().map(value).sum()
            });
            count += 1;
        }
        text.raw("]");
        if merged == 1 && self.run.iter().any(|slot| slot.flags != 0) {
            text.raw(r#","flags":["#);
            for (at, slot) in self.run.iter().enumerate() {
                text.raw(if at == 0 { "" } else { "," });
                text.int(i64::from(slot.flags));
            }
            text.raw("]");
        }
        text.raw("}");
        count
    }
}
