//! Row 9 of #63: meters of one firmware fall silent together. One issue stands for all of them, on
//! the first one that fell silent; the others are its children.
//!
//! A large cohort always has silent members. So besides three within 24 h it must be more than
//! chance explains, given how many of the other meters were lost in the same time.

use metering::{MeterId, Subject};

use crate::alerts::{AlertKey, Report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::stats::binomial_tail;
use crate::transition::Evidence;

/// The least share of all meters that is taken to be lost in a day anyhow: about 70 in a thousand
/// and year.
const BACKGROUND_A_DAY: f64 = 2e-4;

/// What a meter that was just lost is to its cohort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joined {
    /// It is silent for itself.
    Alone,
    /// The first of its cohort.
    Leader,
    /// Explained by the first one.
    Follows(Subject),
}

/// A meter of `cohort` is lost for no better reason, silent since `since`.
pub(crate) fn joined(cohort: u16, id: MeterId, since: i64, env: &mut Env) -> Joined {
    let window_s = env.params.cohort_window_h * 3_600;
    let now = env.now;
    env.network.lost.retain(|at| now - at <= window_s);
    env.network.lost.push(now);
    let all_lost = env.network.lost.len();
    let fleet = env.fleet;
    let place = usize::from(cohort).checked_sub(1);
    let Some(own) = place.and_then(|place| env.network.cohorts.get_mut(place)) else {
        return Joined::Alone;
    };
    own.silent.retain(|(number, from)| *number != id.get() && since - from <= window_s);
    own.silent.push((id.get(), since));
    own.silent.sort_unstable_by_key(|(number, from)| (*from, *number));
    let leads = own.leader != 0 && own.silent.iter().any(|(number, _)| *number == own.leader);
    let silent = u32::try_from(own.silent.len()).unwrap_or(u32::MAX);
    if !leads {
        let others_lost = all_lost.saturating_sub(own.silent.len());
        let others = fleet.saturating_sub(own.members);
        let enough = i64::from(silent) >= env.params.cohort_min;
        if !enough || !beyond_chance((own.members, silent), (others, others_lost), env) {
            return Joined::Alone;
        }
    }
    let Some(own) = place.and_then(|place| env.network.cohorts.get_mut(place)) else {
        return Joined::Alone;
    };
    if !leads {
        own.leader = own.silent.first().map_or(id.get(), |(number, _)| *number);
    }
    let leader = own.leader;
    let members = own.silent.clone();
    let evidence = vec![
        Evidence::new("cohort", i64::from(own.members), "meters", own.name.clone()),
        Evidence::number("silent_together", i64::from(silent), "meters"),
    ];
    if !leads {
        tell_earlier(&members, (leader, id.get()), &evidence, env);
    }
    if leader == id.get() {
        Joined::Leader
    } else {
        Joined::Follows(Subject::Meter(MeterId::new(leader)))
    }
}

fn beyond_chance(
    (members, silent): (u32, u32),
    (others, others_lost): (u32, usize),
    env: &Env,
) -> bool {
    let lost = f64::from(u32::try_from(others_lost).unwrap_or(u32::MAX));
    let seen = if others == 0 { 0.0 } else { lost / f64::from(others) };
    let background = if seen > BACKGROUND_A_DAY { seen } else { BACKGROUND_A_DAY };
    let background = if background > 0.5 { 0.5 } else { background };
    let mut limit = 1.0;
    for _ in 0..env.params.cohort_chance_exp {
        limit /= 10.0;
    }
    binomial_tail(members.max(silent), background, silent) < limit
}

/// Those that were thought to be silent for themselves.
fn tell_earlier(
    members: &[(i32, i64)],
    (leader, newest): (i32, i32),
    evidence: &[Evidence],
    env: &mut Env,
) {
    let parent = Subject::Meter(MeterId::new(leader));
    for (number, _) in members.iter().filter(|(number, _)| *number != newest) {
        let subject = Subject::Meter(MeterId::new(*number));
        let key = AlertKey::of(subject, RuleId::COM_STALE, None);
        let Some(active) = env.book.get(&key).copied() else { continue };
        let mut report =
            Report::new(RuleId::COM_STALE, subject, Cause::FirmwareCohort, active.start);
        report.commodity = active.commodity;
        report.severity = active.severity;
        report.until = active.until;
        report.ranked.push((active.cause, 0));
        report.evidence = evidence.to_vec();
        if *number != leader {
            report.parent = Some(parent);
            report.annunciate = false;
        }
        env.book.assert(report, env.at, &mut env.out);
    }
}
