//! An interval value finds its slot, its day and its rules; a day that is over closes.

use metering::{ChannelNo, Commodity, DeviceFlags, QualityStatus, SlotCode};

use crate::env::Env;
use crate::rules::{
    backflow, close, demand, gas, gas_events, leak, reverse, stopped, variance, water, weekly,
};
use crate::state::NEVER;
use crate::state::channel::{Channel, LateSlot, NO_TIMER, Sort};
use crate::state::days::OpenDay;
use crate::state::meter::Meter;
use crate::state::sec::Sec;
use crate::state::water::WINDOW_S;
use crate::stats::CODE_BAD;
use crate::timer::TimerKey;

/// An interval value as it comes from the log. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) channel: ChannelNo,
    pub(crate) end: i64,
    pub(crate) len_s: i32,
    pub(crate) value: i64,
    pub(crate) code: SlotCode,
    /// No rule of validation failed it.
    pub(crate) clean: bool,
}

const DAY_S: i64 = 86_400;
/// No slot holds more, in milli-units (1.1 GWh, a million m3): sums and rates of such slots are
/// exact in 64 bits.
const VALUE_MAX: u64 = 1 << 40;
/// While late slots come, so much is kept slot by slot.
const LATE_S: i64 = 5 * DAY_S;
/// Flags of the device that make a value no reference (Itron like days; Aclara severity 3).
const UNUSABLE: [DeviceFlags; 5] = [
    DeviceFlags::POWER_FAIL,
    DeviceFlags::OVERFLOW,
    DeviceFlags::SKIPPED,
    DeviceFlags::TEST,
    DeviceFlags::NOT_RECORDING,
];

impl Filled {
    /// The value, if rules may use it; `Some(None)` when only its arrival counts. `None` for what
    /// is no reading of the meter, such as an estimate: a reading may still come.
    fn usable(&self) -> Option<Option<i64>> {
        match self.code.status() {
            QualityStatus::Raw | QualityStatus::Validated | QualityStatus::Verified => {
                let flags = self.code.flags();
                let good = self.clean
                    && self.value >= 0
                    && self.is_possible()
                    && !UNUSABLE.iter().any(|flag| flags.contains(*flag));
                Some(good.then_some(self.value))
            }
            QualityStatus::Suspect => Some(None),
            _ => None,
        }
    }

    const fn is_possible(&self) -> bool {
        self.value.unsigned_abs() <= VALUE_MAX
    }
}

#[cfg(test)]
thread_local! {
    /// Tests prove with it that they notice when late slots are not judged.
    pub(crate) static BLIND_TO_LATE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Late slots are judged: always, but in tests that show what happens otherwise.
pub(crate) fn repairs() -> bool {
    #[cfg(test)]
    return !BLIND_TO_LATE.get();
    #[cfg(not(test))]
    true
}

/// Puts a value into the state of its channel and runs the rules that look at single slots.
pub(crate) fn fill(meter: &mut Meter, place: u32, slot: Filled, env: &mut Env) {
    let Some(at) = meter.channel_at(slot.channel.get()) else { return };
    let zone = meter.zone;
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let late = channel.last_end.s() != NEVER
        && channel.last_end.s() - slot.end > env.params.late_days * DAY_S;
    let ahead = slot.end > env.now + env.params.ahead_s;
    if channel.sort == Sort::Export && slot.clean && !ahead {
        if !slot.is_possible() {
            return;
        }
        reverse::fed_in(meter, (slot.end, i64::from(slot.len_s)), slot.value, env);
        return;
    }
    if !channel.used() || slot.len_s != channel.len_s || late || ahead {
        return;
    }
    let digits = (slot.value / channel.resolution().max(1)).saturating_neg();
    let Some(value) = slot.usable() else { return };
    let Some(marked) = mark(channel, zone, (slot.end, value), env) else { return };
    let number = marked.number;
    if slot.value < 0 {
        backflow::negative(meter, place, (slot.end, digits), env);
    }
    mend_nights(meter, at, &marked, env);
    if marked.closed && meter.commodity == Commodity::Water {
        weekly::note_late(meter, at, (number, slot.end, value.unwrap_or(0)), env);
    }
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let out_of_order = slot.end < channel.last_end.s();
    channel.last_end = Sec::of(channel.last_end.s().max(slot.end));
    if let Some(value) = value {
        channel.note_flow(slot.end, value != 0);
    }
    let len_s = channel.len();
    flowed(meter, (at, number), (&slot, value), (marked.closed, out_of_order), env);
    if let Some(value) = value.filter(|value| *value > 0) {
        gas_events::used_while_cut(meter, (at, slot.end, value), env);
        demand::slot_filled(meter, at, (slot.end, value), env);
    }
    crate::network::filled(meter, place, (slot.end - len_s, len_s), value, env);
    match value {
        Some(0) => stopped::judge(meter, at, env),
        Some(_) => stopped::flows(meter, at, (slot.end, out_of_order), env),
        None => {}
    }
    if let Some((day, code)) = marked.readable {
        // Too little of the day had come when it closed: its rules look now.
        close::keep(meter, at, &day, env);
        close::judge(meter, (place, at), &day, code, env);
        crate::custom::day_closed(meter, (place, at), &day, env);
    } else if marked.closed {
        variance::day_repaired(meter, at, number, env);
    } else {
        close_ready(meter, (place, at), env);
    }
    crate::custom::reading(meter, (place, at), (slot.end, value), env);
}

/// Water: what a slot shows of its night, and of a day that was closed.
fn mend_nights(meter: &mut Meter, at: usize, marked: &Marked, env: &mut Env) {
    if meter.commodity != Commodity::Water {
        return;
    }
    if let Some(least) = marked.night
        && let Some(water) = meter.channels.get_mut(at).and_then(|c| c.water.as_deref_mut())
    {
        water.nights.put(marked.number, least);
    }
    if let Some(late) = marked.late {
        leak::slot_late(meter, at, (marked.number, late), env);
    }
}

/// Water and gas: keeps a slot among those that rules look at one by one, and they look.
fn flowed(
    meter: &mut Meter,
    (at, number): (usize, i32),
    (slot, value): (&Filled, Option<i64>),
    (closed, out_of_order): (bool, bool),
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let (len_s, newest) = (channel.len(), channel.last_end.s());
    let number_of_slot = slot.end.div_euclid(len_s);
    keep_open_days(channel, (number, closed), number_of_slot);
    let Some(water) = channel.water.as_deref_mut() else { return };
    let on_grid = slot.end.rem_euclid(len_s) == 0;
    // What gas did long ago is told by its days.
    let old = meter.commodity == Commodity::Gas && slot.end <= newest - WINDOW_S;
    let kept = on_grid && water.put(number_of_slot, value) && !old;
    if kept && value.is_some() && (!out_of_order || repairs()) {
        match meter.commodity {
            Commodity::Gas => gas::slot_filled(meter, at, number_of_slot, env),
            _ => water::slot_filled(meter, at, number_of_slot, env),
        }
    }
    if out_of_order && !kept && on_grid && value == Some(0) {
        gas::late_pause(meter, at, slot.end, env);
    }
}

/// Slots of days that are not closed are kept, with the 26 h before: rules look at the slots of
/// both sides. While slots of closed days come, those of the last days are kept too, and those of
/// the day at hand.
fn keep_open_days(channel: &mut Channel, (number, late): (i32, bool), slot: i64) {
    let len_s = channel.len();
    if !repairs() {
        return;
    }
    let own = channel.open.heads().find(|open| late && open.number == number);
    let own = own.map(|open| open.start().div_euclid(len_s) + 1 - WINDOW_S / len_s);
    let Some(water) = channel.water.as_deref_mut() else { return };
    let head = water.head.s().max(slot);
    if late {
        water.late_until = Sec::of(head + LATE_S / len_s);
    }
    let wanted = wanted_from(channel, head);
    let from = own.map_or(wanted, |own| own.min(wanted));
    if let Some(water) = channel.water.as_deref_mut().filter(|_| from < head) {
        water.cover((from, head), len_s);
    }
}

/// The first slot that is wanted beside the newest 26 hours; `head` when none is.
fn wanted_from(channel: &Channel, head: i64) -> i64 {
    let len_s = channel.len();
    let mut unclosed = channel.open.heads().filter(|open| open.number > channel.closed_through());
    let first = match (unclosed.next(), unclosed.last()) {
        (Some(first), Some(_)) => first.start().div_euclid(len_s) + 1 - WINDOW_S / len_s,
        _ => head,
    };
    let late = channel.water.as_deref().is_some_and(|water| water.late_until.s() >= head);
    if late { first.min(head - LATE_S / len_s) } else { first }
}

/// Slots that only closed days wanted are forgotten.
fn forget_closed_days(channel: &mut Channel) {
    let Some(head) = channel.water.as_deref().map(|water| water.head.s()) else { return };
    let (from, len_s) = (wanted_from(channel, head), channel.len());
    if let Some(water) = channel.water.as_deref_mut() {
        water.trim(from, len_s);
    }
}

/// What a slot did to its day.
struct Marked {
    number: i32,
    /// The day was closed before.
    closed: bool,
    /// The least hour of its night, now known.
    night: Option<i64>,
    /// It was closed without enough data, and with this slot it has enough; its total.
    readable: Option<(OpenDay, u16)>,
    /// What it did to a closed day that had enough data before.
    late: Option<LateSlot>,
}

/// Marks the slot in its local day; `None` when the slot is known. The grid is UTC: where local
/// midnight is not on it (Kathmandu, hourly), a slot
/// belongs to the day in which it starts.
fn mark(
    channel: &mut Channel,
    zone: u16,
    (end, value): (i64, Option<i64>),
    env: &mut Env,
) -> Option<Marked> {
    let len_s = channel.len();
    let start = end - len_s;
    let newest = channel.open.last().filter(|open| {
        open.start() <= start && start < open.start() + i64::from(open.slots) * len_s
    });
    let day = match newest {
        Some(open) => crate::local::LocalDay {
            number: open.number,
            start: open.start(),
            end: open.start() + i64::from(open.slots) * len_s,
        },
        None => env.zones.day_at(zone, start),
    };
    if channel.closed_through() == i32::MIN {
        channel.close_through(day.number - 1);
    }
    let index = usize::try_from((start - day.start) / len_s).ok()?;
    let closed = day.number <= channel.closed_through();
    let packed = closed && channel.days.is_known(day.number) && !channel.open.has(day.number);
    if packed {
        let late = channel.fill_gap(day.number, (index, value), env.params.var_coverage_pct)?;
        let night = late.night;
        return Some(Marked {
            number: day.number,
            closed,
            night,
            readable: None,
            late: Some(late),
        });
    }
    let mut open = channel.open_day(day)?;
    let taken = open.mark(index, value);
    let counted = value.filter(|_| taken && channel.water.is_some());
    let night = counted.and_then(|value| open.add_to_night((start, len_s), value));
    channel.open.put(&open);
    if !taken {
        return None;
    }
    let mut readable = None;
    if closed {
        let before = channel.days.total(day.number);
        let (code, complete) = (open.code(env.params.var_coverage_pct), open.is_complete());
        channel.days.set(day.number, code);
        let newly = code != CODE_BAD && before.is_none();
        if complete {
            channel.open.retain(|number| number != day.number);
        } else if newly {
            let late_days = i32::try_from(env.params.late_days).unwrap_or(35);
            channel.pack(&open, channel.closed_through().saturating_sub(late_days));
        }
        readable = newly.then_some((open, code));
    }
    Some(Marked { number: day.number, closed, night, readable, late: None })
}

/// Closes the days that are whole or that the watermark has passed, in order.
fn close_ready(meter: &mut Meter, places: (u32, usize), env: &mut Env) {
    let zone = meter.zone;
    loop {
        let Some(channel) = meter.channels.get_mut(places.1) else { return };
        let Some(next) = next_to_close(channel) else { break };
        let lag_s = i64::from(channel.lag_s);
        let whole = channel.open.get(next).is_some_and(|open| open.is_complete());
        if !whole {
            let day = env.zones.day(zone, next);
            let passed = channel.last_end.s() - lag_s >= day.end || env.now - lag_s >= day.end;
            if !passed {
                set_timer(channel, places, day.end + lag_s, env);
                return;
            }
        }
        close(meter, places, next, env);
    }
}

/// The day after the last closed one, when something of it or of a later day is there. Days of
/// which there is nothing are passed over.
fn next_to_close(channel: &mut Channel) -> Option<i32> {
    let first_open =
        channel.open.heads().map(|open| open.number).find(|n| *n > channel.closed_through())?;
    channel.close_through(first_open - 1);
    Some(first_open)
}

fn set_timer(channel: &mut Channel, places: (u32, usize), due: i64, env: &mut Env) {
    if channel.close_at.s() == due {
        return;
    }
    let key =
        TimerKey::DayClose { meter: places.0, channel: u8::try_from(places.1).unwrap_or(u8::MAX) };
    if channel.close_at.s() != NO_TIMER {
        env.timers.cancel(channel.close_at.s(), key);
    }
    channel.close_at = Sec::of(due);
    env.timers.set(due, key);
}

/// Timer: the stragglers of a day have had their time.
pub(crate) fn close_due(meter: &mut Meter, (place, channel): (u32, u8), env: &mut Env) {
    let at = usize::from(channel);
    if let Some(channel) = meter.channels.get_mut(at) {
        channel.close_at = Sec::NONE;
    }
    close_ready(meter, (place, at), env);
}

fn close(meter: &mut Meter, places: (u32, usize), number: i32, env: &mut Env) {
    let late_days = i32::try_from(env.params.late_days).unwrap_or(35);
    let Some(channel) = meter.channels.get_mut(places.1) else { return };
    channel.close_through(number);
    let Some(day) = channel.open.get(number) else { return };
    let code = day.code(env.params.var_coverage_pct);
    channel.days.set(number, code);
    let whole = day.is_complete();
    channel.open.retain(|open| open > number - late_days && !(whole && open == number));
    if code != CODE_BAD && !whole {
        channel.pack(&day, number - late_days);
    } else {
        channel.forget_gaps(number - late_days);
    }
    water::day_closes(meter, places.1, &day, env);
    close::keep(meter, places.1, &day, env);
    close::judge(meter, places, &day, code, env);
    crate::custom::day_closed(meter, places, &day, env);
    if let Some(channel) = meter.channels.get_mut(places.1) {
        forget_closed_days(channel);
    }
}
