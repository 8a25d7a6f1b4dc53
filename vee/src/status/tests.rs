use super::*;
use crate::rules::Rule;
use crate::status::told as told_codes;
use expect_test::expect;
use metering::{DeviceFlags, RuleMask, RuleNo};
use proptest::prelude::*;

const ALL: [QualityStatus; 9] = [
    QualityStatus::Missing,
    QualityStatus::Raw,
    QualityStatus::Suspect,
    QualityStatus::Validated,
    QualityStatus::Verified,
    QualityStatus::Estimated,
    QualityStatus::Edited,
    QualityStatus::Rejected,
    QualityStatus::OutageZero,
];

#[test]
fn every_pair_of_status_and_event_is_as_the_table_says() {
    let mut told = String::new();
    for from in ALL {
        let follows: Vec<String> = StatusEvent::ALL
            .iter()
            .filter_map(|event| Some(format!("{event:?} {}", next(from, *event)?.word())))
            .collect();
        told.push_str(&format!("{}: {}\n", from.word(), follows.join(", ")));
    }
    expect![[r#"
        missing: Arrives raw, Estimate estimated, OutageZero outage zero
        raw: RulesPass validated, RuleFails suspect
        suspect: RulesPass validated, RuleFails suspect, Accept verified, Reject rejected, Estimate estimated, OutageZero outage zero, Edit edited
        validated: RulesPass validated, RuleFails suspect
        verified: Reject rejected
        estimated: Estimate estimated, Edit edited, LateActual validated
        edited: Edit edited
        rejected: Accept verified, Estimate estimated, OutageZero outage zero, Edit edited
        outage zero: Estimate estimated, OutageZero outage zero, Edit edited, LateActual validated
    "#]]
    .assert_eq(&told);
}

#[test]
fn nothing_becomes_missing_or_raw_again_but_by_arrival() {
    for from in ALL {
        for event in StatusEvent::ALL {
            let to = next(from, event);
            assert_ne!(to, Some(QualityStatus::Missing));
            assert!(to != Some(QualityStatus::Raw) || event == StatusEvent::Arrives);
        }
    }
}

#[test]
fn what_nobody_may_use_is_the_same_in_both_lanes_but_for_raw() {
    for status in ALL {
        let (operational, billing) =
            (usable(status, Lane::Operational), usable(status, Lane::Billing));
        assert_eq!(operational != billing, status == QualityStatus::Raw, "{status:?}");
    }
    assert!(!usable(QualityStatus::Suspect, Lane::Operational));
    assert!(usable(QualityStatus::Estimated, Lane::Billing));
}

fn candidate(status: QualityStatus) -> Candidate {
    Candidate {
        status,
        locked: status == QualityStatus::Edited,
        grade: None,
        finalised: false,
        source: ReadSource::Scheduled,
        sequence: 1,
        value_hash: 7,
    }
}

fn estimate(grade: EstimateGrade) -> Candidate {
    Candidate { grade: Some(grade), ..candidate(QualityStatus::Estimated) }
}

#[test]
fn values_replace_one_another_by_rank() {
    let mut order = vec![
        candidate(QualityStatus::Edited),
        candidate(QualityStatus::Verified),
        candidate(QualityStatus::Validated),
        candidate(QualityStatus::Raw),
        estimate(EstimateGrade::Scaled),
        estimate(EstimateGrade::LikeDay),
        estimate(EstimateGrade::Linear),
        estimate(EstimateGrade::Class),
        estimate(EstimateGrade::Zero),
        candidate(QualityStatus::Suspect),
        candidate(QualityStatus::Missing),
    ];
    for pair in order.windows(2) {
        assert_eq!(better(&pair[0], &pair[1]), &pair[0]);
        assert_eq!(better(&pair[1], &pair[0]), &pair[0]);
    }
    order.reverse();
    assert!(order.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1])));
}

#[test]
fn a_final_estimate_yields_to_actuals_and_staff_only() {
    let fixed = Candidate { finalised: true, ..estimate(EstimateGrade::Class) };
    assert_eq!(better(&fixed, &estimate(EstimateGrade::Scaled)), &fixed);
    let actual = candidate(QualityStatus::Validated);
    assert_eq!(better(&fixed, &actual), &actual);
    let suspect = candidate(QualityStatus::Suspect);
    assert_eq!(better(&fixed, &suspect), &fixed);
}

#[test]
fn ties_go_to_the_better_source_then_the_later_sequence_then_the_lower_hash() {
    let raw = candidate(QualityStatus::Raw);
    let asked = Candidate { source: ReadSource::OnDemand, sequence: 0, ..raw };
    let later = Candidate { sequence: 2, ..raw };
    let lower = Candidate { value_hash: 6, ..raw };
    assert_eq!(better(&raw, &asked), &asked);
    assert_eq!(better(&asked, &later), &asked);
    assert_eq!(better(&raw, &later), &later);
    assert_eq!(better(&lower, &later), &later);
    assert_eq!(better(&raw, &lower), &lower);
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let grade = prop::option::of(prop::sample::select(vec![
        EstimateGrade::Scaled,
        EstimateGrade::LikeDay,
        EstimateGrade::Linear,
        EstimateGrade::Class,
        EstimateGrade::Zero,
    ]));
    let source = prop::sample::select(vec![
        ReadSource::OnDemand,
        ReadSource::Scheduled,
        ReadSource::Backfill,
        ReadSource::DriveBy,
    ]);
    (prop::sample::select(ALL.to_vec()), any::<[bool; 2]>(), grade, source, 0..3_i64, 0..3_u64)
        .prop_map(|(status, [locked, finalised], grade, source, sequence, value_hash)| Candidate {
            status,
            locked,
            grade,
            finalised,
            source,
            sequence,
            value_hash,
        })
}

proptest! {
    #[test]
    fn the_better_one_does_not_depend_on_the_order(a in any_candidate(), b in any_candidate()) {
        let same = |x: &Candidate, y: &Candidate| rank(x) == rank(y)
            && (x.source, x.sequence, x.value_hash) == (y.source, y.sequence, y.value_hash);
        prop_assert!(better(&a, &b) == better(&b, &a) || same(&a, &b));
    }
}

#[test]
fn codes_are_told_as_the_standard_writes_them() {
    let told: Vec<String> = CODES
        .iter()
        .map(|row| {
            let nem12 = row.nem12.map_or_else(String::new, |nem12| {
                let number = |n: Option<u8>| n.map_or_else(String::new, |n| n.to_string());
                format!("{}{} {}", nem12.quality, number(nem12.method), number(nem12.reason))
            });
            format!(
                "{:<18} {:<8} {nem12:<7} {:07b} {:?}",
                row.name,
                row.iec.to_string(),
                row.bits_2030_5,
                row.usable
            )
        })
        .collect();
    assert_eq!(told[1], "validated          3.0.1    A       0000001 Yes");
    assert_eq!(told[10], "edited             3.7.0    F55 93  0000010 Yes");
    assert_eq!(told[19], "overflow           1.4.1    S 95    0010000 No");
    for (at, row) in CODES.iter().enumerate() {
        assert!(CODES[at + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
        assert!(row.iec.system <= 5 && row.iec.category <= 12);
    }
    assert_eq!(failed_rule(RuleNo::new(13).unwrap()).iec.to_string(), "3.6.1013");
    assert_eq!(estimated_by(6).iec.to_string(), "3.8.1006");
    assert_eq!(estimated_by(6).bits_2030_5, 1 << 3, "interpolated");
    assert_eq!(estimated_by(5).bits_2030_5, 1 << 2, "by reference days");
    assert!((1..=12).all(|method| estimated_by(method).usable == Usable::Yes));
}

#[test]
fn a_status_is_billable_when_its_code_is() {
    for (status, name) in [
        (QualityStatus::Validated, "validated"),
        (QualityStatus::Verified, "verified"),
        (QualityStatus::Missing, "missing"),
        (QualityStatus::Suspect, "suspect"),
        (QualityStatus::Estimated, "estimated"),
        (QualityStatus::Edited, "edited"),
        (QualityStatus::Rejected, "rejected"),
        (QualityStatus::OutageZero, "outage_zero"),
    ] {
        let row = CODES.iter().find(|row| row.name == name).unwrap();
        let billable = matches!(row.usable, Usable::Yes | Usable::Flag);
        assert_eq!(usable(status, Lane::Billing), billable, "{name}");
    }
}

#[test]
fn a_value_tells_the_codes_of_its_status_its_flags_and_the_rules_that_failed_it() {
    let told = |status, flags, failed: &[Rule]| {
        let failed = failed.iter().fold(0, |bits, rule| bits | rule.mask().bits());
        let codes = told_codes(status, flags, RuleMask::from_bits(failed));
        codes.iter().map(|row| row.iec.to_string()).collect::<Vec<_>>().join(" ")
    };
    use QualityStatus as Q;
    assert_eq!(told(Q::Validated, DeviceFlags::NONE, &[]), "3.0.1");
    assert_eq!(
        told(Q::Raw, DeviceFlags::POWER_FAIL.union(DeviceFlags::PARTIAL), &[]),
        "2.0.0 1.2.32 1.4.2"
    );
    assert_eq!(told(Q::Suspect, DeviceFlags::OVERFLOW, &[Rule::Flag]), "3.5.258 1.4.1 3.6.1006");
    assert_eq!(
        told(Q::Suspect, DeviceFlags::NONE, &[Rule::Sum, Rule::Spike]),
        "3.5.256 3.6.1013 3.6.1016"
    );
    assert_eq!(told(Q::OutageZero, DeviceFlags::NONE, &[]), "1.2.32");
    let all =
        ALL.iter().all(|status| told_codes(*status, DeviceFlags::NONE, RuleMask::EMPTY).len() == 1);
    assert!(all, "every status has a code");
}
