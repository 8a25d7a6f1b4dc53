//! #37 TMP-XFMR: a transformer supplies more than its meters count.
//!
//! Day by day, once at least 98 % of the meters have told their day (the others are taken to be like
//! them): the loss in per cent of the supply, against 8 % and against the transformer's own days.
//! Bad on five of seven days raises, good on five of seven clears. A negative loss is a mapping
//! error and counts for nothing. The members whose use fell when the loss rose stand in the
//! evidence.

use metering::{Commodity, Subject};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::network::Node;
use crate::stats::median_mad;
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
/// A day whose readings are not all there is looked at again for so long.
const WAIT_DAYS: i32 = 6;
/// After this long a day is taken with fewer of the meters: what radio lost does not come.
const LATE_DAYS: i32 = 2;
/// Losses of a node that are remembered.
const HISTORY: usize = 60;
/// Least spread of the loss, in hundredths of a per cent.
const SPREAD_MIN_X100: i64 = 50;
/// Below this the mapping of meters to the node is wrong, in hundredths of a per cent.
const NEGATIVE_X100: i64 = -50;
const WEEK: u8 = 0x7F;
const SUSPECTS: usize = 3;

/// The daily look at all transformers.
pub(crate) fn look(meters: &[Meter], env: &mut Env) {
    let mut nodes = std::mem::take(&mut env.network.nodes);
    for (subject, node) in &mut nodes {
        if matches!(subject, Subject::Transformer(_)) && !node.supplies.is_empty() {
            look_at(*subject, node, meters, env);
        }
    }
    env.network.nodes = nodes;
}

fn look_at(subject: Subject, node: &mut Node, meters: &[Meter], env: &mut Env) {
    let Some(zone) = node.supplies.first().and_then(|at| meters.get(*at as usize)).map(|m| m.zone)
    else {
        return;
    };
    let today = env.zones.day_at(zone, env.now).number;
    if node.judged_through == i32::MIN {
        node.judged_through = today - 2;
    }
    while node.judged_through + 1 < today {
        let day = node.judged_through + 1;
        let mut seen = loss_x100(node, meters, day, env.params.xfmr_coverage_pct);
        if seen.is_none() && today - day > LATE_DAYS {
            seen = loss_x100(node, meters, day, env.params.xfmr_coverage_late_pct);
        }
        match seen {
            Some((loss, doubt)) => {
                judge((subject, node), (day, loss, doubt), (meters, zone), env);
            }
            None if today - day > WAIT_DAYS => {}
            None => return,
        }
        node.judged_through = day;
    }
}

/// The channel whose days are added up.
pub(crate) fn used_channel(meter: &Meter) -> Option<&Channel> {
    meter.channels.iter().find(|channel| channel.used())
}

/// Total of the local day of a meter, in milli-units.
pub(crate) fn day_total(meter: &Meter, day: i32) -> Option<i64> {
    used_channel(meter)?.days.total(day)
}

/// Loss of the day in hundredths of a per cent of the supply, and by how much of it it may be wrong
/// because not all meters told their day: half of what they are taken to have used.
fn loss_x100(node: &Node, meters: &[Meter], day: i32, coverage_pct: i64) -> Option<(i64, i64)> {
    let mut supply = 0_i128;
    for place in &node.supplies {
        supply += i128::from(day_total(meters.get(*place as usize)?, day)?);
    }
    let (mut used, mut told) = (0_i128, 0_i128);
    for place in &node.members {
        if let Some(total) = meters.get(*place as usize).and_then(|meter| day_total(meter, day)) {
            used += i128::from(total);
            told += 1;
        }
    }
    let members = i128::try_from(node.members.len()).ok()?;
    if supply <= 0 || told == 0 || told * 100 < members * i128::from(coverage_pct) {
        return None;
    }
    let whole = used * members / told;
    let loss = i64::try_from((supply - whole) * 10_000 / supply).ok()?;
    let doubt = i64::try_from((whole - used) * 5_000 / supply).ok()?;
    Some((loss, doubt))
}

fn judge(
    (subject, node): (Subject, &mut Node),
    (day, loss, doubt): (i32, i64, i64),
    (meters, zone): (&[Meter], u16),
    env: &mut Env,
) {
    if loss < NEGATIVE_X100 {
        return;
    }
    let mut own: Vec<i64> = node.losses.iter().map(|(_, loss)| *loss).collect();
    let enough = i64::try_from(own.len()).unwrap_or(0) >= env.params.xfmr_days_min;
    let (median, mad) = median_mad(&mut own);
    // What is not known does not count against the members.
    let z_x100 = |loss: i64| (loss - median) * 6_745 / (mad.max(SPREAD_MIN_X100) * 100);
    let is_bad = |loss: i64| {
        loss > env.params.xfmr_loss_max_x100 || (enough && z_x100(loss) > env.params.xfmr_z_x100)
    };
    let bad = is_bad(loss - doubt);
    if !bad && is_bad(loss + doubt) {
        // Nor does it speak for them, or make theft the usual loss.
        return;
    }
    let z_x100 = z_x100(loss - doubt);
    node.bad = (node.bad << 1 | u8::from(bad)) & WEEK;
    if !bad {
        node.losses.push((day, loss));
        if node.losses.len() > HISTORY {
            node.losses.remove(0);
        }
    }
    let key = AlertKey::of(subject, RuleId::TMP_XFMR, None);
    let bad_days = i64::from(node.bad.count_ones());
    let local = env.zones.day(zone, day);
    if bad_days >= env.params.xfmr_days {
        let first = day - i32::try_from(7 - node.bad.leading_zeros().min(7)).unwrap_or(0).max(0);
        let from = env.zones.day(zone, first.max(day - 6)).start;
        raise((subject, node), (from, local.end), (loss, median, z_x100), (meters, day), env);
    } else if env.book.get(&key).is_some() && 7 - bad_days >= env.params.xfmr_days {
        env.book.clear(&key, local.start, env.at, &mut env.out);
    }
}

fn raise(
    (subject, node): (Subject, &Node),
    (from, to): (i64, i64),
    (loss, median, z_x100): (i64, i64, i64),
    (meters, day): (&[Meter], i32),
    env: &mut Env,
) {
    let mut report = Report::new(RuleId::TMP_XFMR, subject, Cause::UnaccountedEnergy, from);
    report.commodity = Some(Commodity::Electricity);
    report.until = to;
    report.annunciate = env.now - to <= i64::from(WAIT_DAYS) * DAY_S;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(to)),
        Evidence::milli("measured", loss * 10, "%"),
        Evidence::milli("median", median * 10, "%"),
        Evidence::milli("threshold", env.params.xfmr_loss_max_x100 * 10, "%"),
        Evidence::new("z", z_x100, "hundredths", format!("z {}", z_x100 / 100)),
        Evidence::number("days_bad", i64::from(node.bad.count_ones()), "days"),
    ];
    if env.book.get(&report.key()).is_none() {
        report.evidence.extend(suspects(node, meters, day));
    }
    env.book.assert(report, env.at, &mut env.out);
}

/// The members whose use fell most when the loss rose, over the last four weeks.
fn suspects(node: &Node, meters: &[Meter], day: i32) -> Vec<Evidence> {
    let days: Vec<(i32, f64)> = (day - 27..=day)
        .filter_map(|day| Some((day, small(loss_x100(node, meters, day, 90)?.0))))
        .collect();
    let mut ranked: Vec<(i64, i32)> = node
        .members
        .iter()
        .filter_map(|place| {
            let meter = meters.get(*place as usize)?;
            let pairs: Vec<(f64, f64)> = days
                .iter()
                .filter_map(|(day, loss)| Some((small(day_total(meter, *day)? / 1_000), *loss)))
                .collect();
            Some((correlation_x100(&pairs)?, meter.id.get()))
        })
        .collect();
    ranked.sort_unstable();
    ranked
        .into_iter()
        .take_while(|(r, _)| *r <= -40)
        .take(SUSPECTS)
        .map(|(r, number)| {
            let text = format!("meter {number} used less when the loss rose (r {r} %)");
            Evidence::new("suspect", i64::from(number), "", text)
        })
        .collect()
}

fn small(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(i32::MAX))
}

/// Pearson's correlation in hundredths, by sums in the order of the days.
fn correlation_x100(pairs: &[(f64, f64)]) -> Option<i64> {
    if pairs.len() < 10 {
        return None;
    }
    let n = small(i64::try_from(pairs.len()).unwrap_or(0));
    let (mut x, mut y) = (0.0, 0.0);
    for (a, b) in pairs {
        x += a;
        y += b;
    }
    let (mean_x, mean_y) = (x / n, y / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        xy += (a - mean_x) * (b - mean_y);
        xx += (a - mean_x) * (a - mean_x);
        yy += (b - mean_y) * (b - mean_y);
    }
    let scale = (xx * yy).sqrt();
    if scale <= 0.0 {
        return None;
    }
    let r = xy / scale * 100.0;
    (-100..=100_i32).find(|step| f64::from(*step) >= r).map(i64::from)
}
