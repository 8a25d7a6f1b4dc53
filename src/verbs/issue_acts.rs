//! `headend issues acknowledge | comment | snooze | assign | merge | release-hold | close |
//! false-alarm`.

use alerts::Cause;
use jiff::tz::TimeZone;
use metering::UtcTime;
use store::Database;
use store::issues::{Issues, UserAct};

use super::cli::{ActArgs, IssuesVerb, instant};
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::config::value::parse_duration;
use crate::output::say;

/// Does what the verb says; `account` is who it is when nobody is named.
pub(super) async fn run(
    database: &Database,
    verb: &IssuesVerb,
    account: &str,
    (zone, now): (&TimeZone, UtcTime),
) -> anyhow::Result<()> {
    let Some((args, act)) = act_of(verb, zone, now)? else { return Ok(()) };
    let actor = args.actor.as_deref().unwrap_or(account);
    let issues = Issues::new(database.clone());
    let before = super::issues::find(database, args.number).await?;
    if args.dry_run {
        issues.rehearse(args.number, None, &act, (actor, now)).await?;
        say!("issue {}: {} would {}", args.number, actor, words(&act, zone))?;
        say!("state now: {}; nothing was changed", before.row.state)?;
        return Ok(());
    }
    issues.act(args.number, None, &act, (actor, now)).await?;
    let after = super::issues::find(database, args.number).await?;
    let (from, to) = (&before.row.state, &after.row.state);
    let moved = if from == to { format!("still {to}") } else { format!("{from} to {to}") };
    say!("issue {}: {}; {moved}", args.number, done(&act, before.row.acknowledged_by, zone))?;
    Ok(())
}

/// `None` for the verbs that only look.
fn act_of<'a>(
    verb: &'a IssuesVerb,
    zone: &TimeZone,
    now: UtcTime,
) -> Result<Option<(&'a ActArgs, UserAct)>, Failure> {
    Ok(Some(match verb {
        IssuesVerb::List { .. } | IssuesVerb::Show { .. } => return Ok(None),
        IssuesVerb::Acknowledge(args) => (args, UserAct::Acknowledge),
        IssuesVerb::Comment(args) => (args, UserAct::Comment { text: args.why() }),
        IssuesVerb::FalseAlarm(args) => (args, UserAct::FalsePositive { note: args.why() }),
        IssuesVerb::Snooze { act, until } => {
            let until = until_of(until, zone, now)
                .map_err(|what| Failure::new(Exit::Usage, format!("--until: {what}")))?;
            (act, UserAct::Snooze { until })
        }
        IssuesVerb::Close { act, cause } => {
            let cause = cause_of(cause, act.number)?;
            (act, UserAct::Close { cause, note: act.why() })
        }
        IssuesVerb::Assign { act, to } => {
            (act, UserAct::Assign { to: to.clone(), note: act.why() })
        }
        IssuesVerb::Merge { act, into } => (act, UserAct::Merge { into: *into, note: act.why() }),
        IssuesVerb::ReleaseHold { act, force } => {
            (act, UserAct::ReleaseHold { reason: act.why(), force: *force })
        }
    }))
}

fn until_of(text: &str, zone: &TimeZone, now: UtcTime) -> Result<UtcTime, String> {
    let until =
        parse_duration(text).map_or_else(|_| instant(text, zone), |duration| Ok(now + duration))?;
    if until <= now {
        let (until, now) = (stamp(until, zone), stamp(now, zone));
        return Err(format!("{until} is past, it is now {now}: name a later end"));
    }
    Ok(until)
}

/// More hints than this are a list.
const HINTS_MAX: usize = 5;

fn cause_of(text: &str, number: i64) -> Result<Cause, Failure> {
    let text = text.to_ascii_uppercase().replace(' ', "_");
    text.parse::<Cause>().map_err(|_| {
        let all = || Cause::ALL.iter().map(|cause| cause.word());
        let mut near: Vec<&str> = all().filter(|word| word.contains(text.as_str())).collect();
        if near.is_empty() {
            near.extend(crate::config::keys::nearest(&text, all()));
        }
        near.truncate(HINTS_MAX);
        let what = if near.is_empty() {
            format!(
                "--cause: `{text}` is no cause: `headend issues show {number}` lists the likely \
                 ones, docs/rules.md all"
            )
        } else {
            format!("--cause: `{text}` is no cause; did you mean {}?", near.join(", "))
        };
        Failure::new(Exit::Usage, what)
    })
}

/// What was done. Whoever acknowledged it before stays so.
fn done(act: &UserAct, known: Option<String>, zone: &TimeZone) -> String {
    match act {
        UserAct::Acknowledge => match known {
            Some(who) => format!("was acknowledged already by {who}"),
            None => "acknowledged".to_owned(),
        },
        UserAct::Snooze { until } => format!("hidden until {}", stamp(*until, zone)),
        UserAct::Comment { .. } => "comment added".to_owned(),
        UserAct::Close { cause, .. } => format!("closed with cause {cause}"),
        UserAct::FalsePositive { .. } => "closed as a false alarm".to_owned(),
        UserAct::Assign { to, .. } if to.trim().is_empty() => "with nobody now".to_owned(),
        UserAct::Assign { to, .. } => format!("with {to} now"),
        UserAct::Merge { into, .. } => format!("merged into issue {into}"),
        UserAct::ReleaseHold { .. } => "billing hold released".to_owned(),
    }
}

fn words(act: &UserAct, zone: &TimeZone) -> String {
    match act {
        UserAct::Acknowledge => "acknowledge it".to_owned(),
        UserAct::Snooze { until } => format!("snooze it until {}", stamp(*until, zone)),
        UserAct::Comment { .. } => "comment on it".to_owned(),
        UserAct::Close { cause, .. } => format!("close it with cause {cause}"),
        UserAct::FalsePositive { .. } => "close it as a false alarm".to_owned(),
        UserAct::Assign { to, .. } if to.trim().is_empty() => "assign it to nobody".to_owned(),
        UserAct::Assign { to, .. } => format!("assign it to {to}"),
        UserAct::Merge { into, .. } => format!("merge it into issue {into}"),
        UserAct::ReleaseHold { .. } => "release its billing hold".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_past_is_a_fault_of_the_command_line() {
        let now = UtcTime::from_seconds(1_795_000_000);
        let until = |text| until_of(text, &TimeZone::UTC, now);
        assert_eq!(until("2h"), Ok(now.plus_seconds(7_200)));
        let past = until("2026-11-01").unwrap_err();
        assert!(past.starts_with("2026-11-01T00:00:00+00:00 is past, it is now"), "{past}");
        assert!(until(&now.to_string()).is_err());
    }

    #[test]
    fn a_word_that_is_no_cause_gets_few_hints() {
        let told = |text| cause_of(text, 7).unwrap_err().to_string();
        let nope = told("NOPE");
        assert!(nope.len() < 120 && nope.contains("`headend issues show 7` lists"), "{nope}");
        assert!(told("leak customer syde").contains("did you mean LEAK_CUSTOMER_SIDE?"));
        assert!(told("E").matches(", ").count() < HINTS_MAX, "{}", told("E"));
        assert_eq!(cause_of("leak customer side", 7).unwrap(), Cause::LeakCustomerSide);
    }
}
