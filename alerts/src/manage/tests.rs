//! The desk as text: what comes in, who is told what and when.

use std::fmt::Write;

use expect_test::{Expect, expect};
use metering::{Commodity, MeterId, Severity, Subject, UtcTime, ZoneId};

use super::{Act, ActRefused, AlarmKey, AlarmState, Desk, DeskParams, Said, Shelve};
use crate::cause::Cause;
use crate::rule::RuleId;
use crate::transition::{AlertTransition, TransitionKind, alert_id};

const BEGIN: i64 = 1_790_000_400;

fn at(minutes: i64) -> UtcTime {
    UtcTime::from_seconds(BEGIN + minutes * 60)
}

fn alert(
    kind: TransitionKind,
    (rule, cause, severity): (RuleId, Cause, Severity),
    meter: i32,
    seconds: i64,
) -> AlertTransition {
    let subject = Subject::Meter(MeterId::new(meter));
    let now = UtcTime::from_seconds(BEGIN + seconds);
    AlertTransition {
        alert_id: alert_id(rule, subject, None, now),
        rule,
        kind,
        subject,
        channel: None,
        commodity: Some(Commodity::Water),
        cause,
        family: cause.family().unwrap(),
        ranked: vec![(cause, 0)],
        identified: false,
        severity,
        condition_start: now,
        condition_end: None,
        at: now,
        annunciate: true,
        parent: None,
        others_active: 0,
        evidence: Vec::new(),
    }
}

const BURST: (RuleId, Cause, Severity) =
    (RuleId::WTR_BURST, Cause::BurstCustomerSide, Severity::P1);
const LEAK: (RuleId, Cause, Severity) = (RuleId::WTR_CONT, Cause::LeakCustomerSide, Severity::P3);
const STOPPED: (RuleId, Cause, Severity) = (RuleId::MTR_STOP, Cause::StoppedMeter, Severity::P2);

fn text(said: &Said) -> String {
    let mut lines = String::new();
    for told in &said.annunciations {
        let seconds = told.at.seconds() - BEGIN;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let flood = if told.in_flood { " in a flood" } else { "" };
        let word = told.occasion.word();
        writeln!(lines, "{minutes}:{seconds:02} {word}: {}{flood}", told.text).unwrap();
    }
    lines
}

fn check(desk: &mut Desk, mut said: Said, until_min: i64, want: &Expect) -> Said {
    let from = desk.kpis().at.seconds();
    let mut now = from + 30;
    while now <= BEGIN + until_min * 60 {
        desk.advance(UtcTime::from_seconds(now), &mut said);
        now += 30;
    }
    want.assert_eq(&text(&said));
    said
}

#[test]
fn alerts_of_one_district_are_one_incident_that_grows() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    let area = Some(Subject::Zone(ZoneId::new(4)));
    desk.take(&alert(TransitionKind::Raised, LEAK, 1, 0), area, &mut said);
    desk.take(&alert(TransitionKind::Raised, LEAK, 2, 10), area, &mut said);
    desk.take(&alert(TransitionKind::Raised, LEAK, 3, 20), None, &mut said);
    desk.advance(at(1), &mut said);
    desk.take(&alert(TransitionKind::Raised, BURST, 4, 70), area, &mut said);
    check(
        &mut desk,
        said,
        8,
        &expect![[r#"
            1:00 new: P3 LEAK_CUSTOMER_SIDE meter 3
            1:00 new: P3 LEAK at zone 4: 2 alerts, worst LEAK_CUSTOMER_SIDE
            1:40 more: P1 LEAK at zone 4: 3 alerts, worst BURST_CUSTOMER_SIDE
        "#]],
    );
}

#[test]
fn nobody_answers_a_burst() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    desk.take(&alert(TransitionKind::Raised, BURST, 1, 0), None, &mut said);
    desk.take(&alert(TransitionKind::Raised, STOPPED, 1, 0), None, &mut said);
    check(
        &mut desk,
        said,
        5 * 60,
        &expect![[r#"
        0:30 new: P2 STOPPED_METER meter 1
        0:30 new: P1 BURST_CUSTOMER_SIDE meter 1
        15:30 escalation: P1 BURST_CUSTOMER_SIDE meter 1, for the second on call
        30:30 escalation: P1 BURST_CUSTOMER_SIDE meter 1, for the manager
        240:30 escalation: P2 STOPPED_METER meter 1, for the shift
        270:30 repeat: P1 BURST_CUSTOMER_SIDE meter 1, for the manager
    "#]],
    );
}

#[test]
fn what_is_acknowledged_is_not_repeated() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    desk.take(&alert(TransitionKind::Raised, BURST, 1, 0), None, &mut said);
    desk.advance(at(2), &mut said);
    let subject = Subject::Meter(MeterId::new(1));
    let act = Act::Acknowledge { subject, class: Cause::BurstCustomerSide.family().unwrap() };
    desk.act(&act, at(3), &mut said).unwrap();
    let key = AlarmKey::new(RuleId::WTR_BURST.no, subject, None);
    assert_eq!(desk.state(&key), Some(AlarmState::AckActive));
    let mut said = check(
        &mut desk,
        said,
        10 * 60,
        &expect![[r#"
        2:00 new: P1 BURST_CUSTOMER_SIDE meter 1
    "#]],
    );
    desk.take(&alert(TransitionKind::Cleared, BURST, 1, 36_100), None, &mut said);
    assert_eq!(desk.state(&key), None);
    assert_eq!(
        said.incidents.last().unwrap().closed_at,
        Some(UtcTime::from_seconds(BEGIN + 36_100))
    );
}

#[test]
fn what_a_parent_explains_is_silent_but_a_gas_p1_is_not() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    let lost = (RuleId::COM_STALE, Cause::CommLost, Severity::P3);
    let mut child = alert(TransitionKind::Raised, lost, 1, 0);
    child.parent = Some(Subject::Collector(metering::CollectorId::new(3)));
    child.annunciate = false;
    desk.take(&child, None, &mut said);
    let mut gas =
        alert(TransitionKind::Raised, (RuleId::GAS_HIGH, Cause::GasHighFlow, Severity::P1), 2, 0);
    gas.parent = child.parent;
    desk.take(&gas, None, &mut said);
    assert_eq!(desk.kpis().suppressed, 1);
    check(
        &mut desk,
        said,
        5,
        &expect![[r#"
        0:30 new: P1 GAS_HIGH_FLOW meter 2
    "#]],
    );
}

#[test]
fn shelving_has_an_end_and_is_short_for_p1() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    let shelve = |rule: Option<RuleId>, hours: i64| {
        Act::Shelve(Shelve {
            rule: rule.map(|rule| rule.no),
            subject: None,
            from: at(0),
            until: at(hours * 60),
            who: "anna".to_owned(),
            why: "works in the street".to_owned(),
            out_of_service: false,
        })
    };
    let refused = desk.act(&shelve(None, 1), at(0), &mut said);
    assert_eq!(refused, Err(ActRefused::Everything));
    let refused = desk.act(&shelve(Some(RuleId::WTR_CONT), 200), at(0), &mut said);
    assert_eq!(refused, Err(ActRefused::TooLong { wanted_s: 720_000, most_s: 604_800 }));
    desk.take(&alert(TransitionKind::Raised, BURST, 1, 1), None, &mut said);
    let refused = desk.act(&shelve(Some(RuleId::WTR_BURST), 2), at(0), &mut said);
    assert_eq!(refused, Err(ActRefused::TooLong { wanted_s: 7_200, most_s: 3_600 }));
    desk.act(&shelve(Some(RuleId::WTR_CONT), 2), at(0), &mut said).unwrap();
    desk.act(&shelve(Some(RuleId::WTR_BURST), 1), at(0), &mut said).unwrap();
    desk.take(&alert(TransitionKind::Raised, LEAK, 2, 2), None, &mut said);
    check(
        &mut desk,
        said,
        130,
        &expect![[r#"
        60:02 new: P1 BURST_CUSTOMER_SIDE meter 1
        75:02 escalation: P1 BURST_CUSTOMER_SIDE meter 1, for the second on call
        90:02 escalation: P1 BURST_CUSTOMER_SIDE meter 1, for the manager
    "#]],
    );
}

#[test]
fn in_a_flood_only_p1_and_groups_are_told() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    for meter in 1..=16 {
        let area = Some(Subject::Zone(ZoneId::new(meter)));
        let alert = alert(TransitionKind::Raised, STOPPED, meter, i64::from(meter) * 10);
        desk.take(&alert, area, &mut said);
    }
    desk.take(&alert(TransitionKind::Raised, BURST, 20, 175), None, &mut said);
    let said = check(
        &mut desk,
        said,
        4,
        &expect![[r#"
        0:40 new: P2 STOPPED_METER meter 1
        0:50 new: P2 STOPPED_METER meter 2
        1:00 new: P2 STOPPED_METER meter 3
        1:10 new: P2 STOPPED_METER meter 4
        1:20 new: P2 STOPPED_METER meter 5
        1:30 new: P2 STOPPED_METER meter 6
        1:40 new: P2 STOPPED_METER meter 7
        1:50 new: P2 STOPPED_METER meter 8
        2:00 new: P2 STOPPED_METER meter 9
        2:10 new: P2 STOPPED_METER meter 10
        2:20 new: P2 STOPPED_METER meter 11
        3:25 new: P1 BURST_CUSTOMER_SIDE meter 20 in a flood
    "#]],
    );
    assert!(desk.kpis().in_flood);
    let told = said.annunciations.len();
    let said = {
        let mut said = said;
        for minute in 5..=20 {
            desk.advance(at(minute), &mut said);
        }
        said
    };
    assert!(!desk.kpis().in_flood);
    assert!(said.annunciations.len() > told, "the others are told when the flood is over");
    assert!(said.kpis.iter().any(|row| row.flood && row.raised == 17));
}

#[test]
fn chatter_is_latched_and_named() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    for round in 0..3 {
        desk.take(&alert(TransitionKind::Raised, BURST, 1, round * 20), None, &mut said);
        desk.take(&alert(TransitionKind::Cleared, BURST, 1, round * 20 + 5), None, &mut said);
    }
    let kpis = desk.kpis();
    assert_eq!((kpis.chattering, kpis.fleeting), (1, 2));
    assert_eq!(kpis.bad_actors[0].1, 3);
    // Latched: it is told although its condition is over, and goes after twice a minute.
    check(
        &mut desk,
        said,
        4,
        &expect![[r#"
        1:15 new: P1 BURST_CUSTOMER_SIDE meter 1
    "#]],
    );
    assert_eq!(desk.kpis().chattering, 0);
}

#[test]
fn a_snapshot_and_the_tail_are_a_straight_run() {
    let feed: Vec<AlertTransition> = (0..200)
        .map(|step| {
            let what = [BURST, LEAK, STOPPED][usize::try_from(step % 3).unwrap()];
            let kind = if step % 7 < 4 { TransitionKind::Raised } else { TransitionKind::Cleared };
            alert(kind, what, i32::try_from(step % 11).unwrap(), step * 97)
        })
        .collect();
    let mut straight = Desk::new(DeskParams::default());
    let mut wanted = Said::default();
    for transition in &feed {
        straight.take(transition, None, &mut wanted);
    }
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    for (number, transition) in feed.iter().enumerate() {
        if number % 13 == 5 {
            desk = Desk::restore(&desk.snapshot()).unwrap();
        }
        desk.take(transition, None, &mut said);
    }
    assert_eq!(said, wanted);
    assert_eq!(desk.snapshot(), straight.snapshot());
    assert!(Desk::restore(b"AMIR").is_err());
    let keys: std::collections::BTreeSet<&str> =
        said.annunciations.iter().map(|told| told.key.as_str()).collect();
    assert_eq!(keys.len(), said.annunciations.len());
}

/// What a transition looks at is what the alarms say, whatever came before.
#[test]
fn incidents_know_their_members_at_every_step() {
    let mut desk = Desk::new(DeskParams::default());
    let mut said = Said::default();
    let mut random = 7_u32;
    for step in 0..3_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bits = random >> 8;
        let what = [BURST, LEAK, STOPPED][usize::try_from(bits % 3).unwrap()];
        let kind = [TransitionKind::Raised, TransitionKind::Updated, TransitionKind::Cleared]
            [usize::try_from(bits / 3 % 3).unwrap()];
        let mut one = alert(kind, what, i32::try_from(bits / 9 % 5).unwrap(), step * 41);
        one.annunciate = !(bits / 360).is_multiple_of(5);
        let zone = i32::try_from(bits / 1_800 % 4).unwrap();
        let area = (zone > 0).then(|| Subject::Zone(ZoneId::new(zone)));
        if (bits / 7_200).is_multiple_of(17) {
            let class = one.family;
            let act = Act::Acknowledge { subject: one.subject, class };
            desk.act(&act, one.at, &mut said).unwrap();
        }
        desk.take(&one, area, &mut said);
        assert_eq!(desk.members, Desk::members_of(&desk.alarms), "step {step}");
        assert!(desk.groups.keys().eq(desk.members.keys()), "step {step}");
    }
    assert!(said.incidents.iter().any(|incident| incident.closed_at.is_some()));
    assert_eq!(Desk::restore(&desk.snapshot()).unwrap(), desk);
}
