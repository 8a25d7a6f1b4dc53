//! What looks at a channel when one of its local days closed, in the order of days.

use metering::Commodity;

use crate::env::Env;
use crate::rules::{demand, gas, leak, projection, reverse, stopped, tamper, variance};
use crate::state::days::OpenDay;
use crate::state::meter::Meter;
use crate::state::premises::Lived;
use crate::stats::{CODE_BAD, median};

/// A day closes: what its slots show is kept before they are forgotten.
pub(crate) fn keep(meter: &mut Meter, at: usize, day: &OpenDay, env: &mut Env) {
    let commodity = meter.commodity;
    let Some(channel) = meter.channels.get_mut(at) else { return };
    stopped::day_closes(channel, commodity, day, env);
    let len_s = channel.len();
    match commodity {
        Commodity::Water => {
            if let Some(water) = channel.water.as_deref_mut() {
                leak::note_day(water, day, len_s, env);
            }
        }
        Commodity::Gas => {
            let end = day.start() + i64::from(day.slots) * len_s;
            gas::note_day(channel, (day.number, day.start(), end), env);
        }
        _ => {}
    }
}

/// What the day says of the address.
fn note_lived(meter: &Meter, at: usize, day: &OpenDay, env: &mut Env) {
    let Some(channel) = meter.channels.get(at).filter(|_| meter.premises != 0) else { return };
    // What is usual is that of the days before nobody was in; once they are forgotten, a day is as
    // quiet as the last ones.
    let left = env.premises.quiet_from(meter.premises).min(day.number);
    let usual = |before: i32| -> Option<i64> {
        let days = before - 28..before;
        let mut totals: Vec<i64> = days.filter_map(|day| channel.days.total(day)).collect();
        (totals.len() >= 7).then(|| median(&mut totals))
    };
    let quiet = match usual(left) {
        Some(usual) => day.sum.saturating_mul(5) <= usual,
        None if left < day.number => usual(day.number).is_some_and(|last| day.sum <= 2 * last),
        None => false,
    };
    let used = day.sum != 0;
    let lived = Lived { commodity: meter.commodity, number: day.number, used, quiet };
    env.premises.note(meter.premises, lived);
}

/// The day is closed; `code` is its total, `used` whether anything flowed.
pub(crate) fn judge(
    meter: &mut Meter,
    places: (u32, usize),
    day: &OpenDay,
    code: u16,
    env: &mut Env,
) {
    let (place, at) = places;
    if code != CODE_BAD {
        note_lived(meter, at, day, env);
        stopped::note_day(meter, at, (day.sum != 0, day.start()), env);
        variance::day_closed(meter, places, day.number, env);
        projection::day_closed(meter, at, day.number, env);
    }
    match meter.commodity {
        Commodity::Water => leak::day_closed(meter, at, day.number, env),
        Commodity::Electricity => {
            reverse::day_closed(meter, at, day.number, env);
            demand::day_closed(meter, at, day.number, env);
        }
        _ => {}
    }
    tamper::day_closed(meter, place, day.start(), env);
}
