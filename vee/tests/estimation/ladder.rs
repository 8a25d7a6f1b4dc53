//! Which method the ladder takes, and how well it does.

use super::rig::{facts, hidden, household, input, utc};
use expect_test::{Expect, expect};
use jiff::civil::date;
use metering::{ChannelKind, Commodity, QualityStatus, UtcTime};
use vee::estimate::backtest::MASKS_MAX;
use vee::estimate::report::{Contender, ReportSeries};
use vee::estimate::{
    ChannelFacts, ClassProfile, Estimate, EstimateError, Gap, GapInput, MaskLength, Method, Outage,
    OutageEvidence, RateWindow, RegisterWindow, Series, Slot, TouInput, TouSchedule,
    backtest_report, bridge, estimate, flat,
};

fn start() -> UtcTime {
    utc("2026-08-31T22:00:00Z")
}

/// `hours` long, on the 20th day of the series at local midnight plus `at` hours.
fn gap(at: i64, hours: i64) -> Gap {
    let from = start().plus_seconds(20 * 86_400 + at * 3_600);
    Gap::new(from, from.plus_seconds(hours * 3_600))
}

fn words(told: &Result<Vec<Estimate>, EstimateError>) -> String {
    match told {
        Err(error) => error.to_string(),
        Ok(all) => {
            let line = |one: &Estimate| {
                let review: Vec<&str> = one.review.iter().map(|why| why.words()).collect();
                let confidence = one.confidence.class.letter();
                format!("{} {confidence} [{}]", one.method, review.join(", "))
            };
            all.iter().map(line).collect::<Vec<_>>().join("; ")
        }
    }
}

fn check(facts: &ChannelFacts, days: i64, gap: Gap, want: Expect) {
    let slots = household(facts, start(), days, 5);
    let (series, _) = hidden(facts, &slots, &[gap]);
    want.assert_eq(&words(&estimate(&input(facts, &series, &[gap]))));
}

#[test]
fn the_ladder_goes_down_as_less_is_known() {
    let facts = facts();
    check(&facts, 40, gap(10, 1), expect!["EST-LIKEN B []"]);
    check(&facts, 40, gap(10, 6), expect!["EST-LIKEN B []"]);
    // The gap takes all but one of the same weekday and type: little is left.
    check(&facts, 22, gap(-24 * 12, 24 * 13), expect!["EST-LIKE1 C []"]);
    let empty = Series::new(900, Vec::new());
    let gaps = [gap(0, 24)];
    expect!["nothing is known to estimate from: leave it missing and ask for a manual read"]
        .assert_eq(&words(&estimate(&input(&facts, &empty, &gaps))));
}

#[test]
fn water_is_not_drawn_as_a_line() {
    let water = ChannelFacts { commodity: Commodity::Water, ..facts() };
    check(&water, 40, gap(10, 1), expect!["EST-LIKEN B []"]);
}

#[test]
fn registers_alone_are_spread_and_profiles_shape_them() {
    let facts = facts();
    let edge = [
        Slot::new(gap(0, 24).from, 1000, QualityStatus::Suspect),
        Slot::new(gap(0, 24).from.plus_seconds(-900), 1000, QualityStatus::Suspect),
    ];
    let series = Series::new(900, edge.to_vec());
    let gaps = [gap(0, 24)];
    let registers = RegisterWindow {
        open_at: gaps[0].from,
        close_at: gaps[0].to,
        open: 0,
        close: 12_000_000,
        advance: 12_000_000,
    };
    let input = GapInput { registers: Some(registers), ..input(&facts, &series, &gaps) };
    let told = estimate(&input).unwrap();
    assert_eq!(told[0].method, Method::AverageDaily);
    assert!(told[0].values.iter().all(|value| *value == 125_000));
    let mut hours = vec![1; 24];
    hours[18] = 26;
    let profile = ClassProfile {
        id: "residential".to_owned(),
        slot_s: 3_600,
        weekday: hours.clone(),
        saturday: hours.clone(),
        sunday: hours,
        daily: 9_000_000,
    };
    let told = estimate(&GapInput { profile: Some(&profile), ..input }).unwrap();
    expect!["EST-CLASS D [made from a class profile]"].assert_eq(&words(&Ok(told.clone())));
    assert!(told[0].is_proposal());
    assert_eq!(told[0].total(), 12_000_000);
    assert_eq!(told[0].values[72], 1_592_000);
}

#[test]
fn an_outage_comes_first_and_never_for_water() {
    let facts = facts();
    let slots = household(&facts, start(), 40, 5);
    let gaps = [gap(10, 3)];
    let (series, _) = hidden(&facts, &slots, &gaps);
    let outages = [Outage {
        down: gaps[0].from.plus_seconds(300),
        up: Some(gaps[0].to.plus_seconds(-300)),
        evidence: OutageEvidence::Classified,
    }];
    let told = estimate(&GapInput { outages: &outages, ..input(&facts, &series, &gaps) });
    expect!["EST-ZERO C [zero by an outage that is not proven yet]"].assert_eq(&words(&told));
    let water = ChannelFacts { commodity: Commodity::Water, ..facts };
    let told = estimate(&GapInput { outages: &outages, ..input(&water, &series, &gaps) });
    expect!["EST-LIKEN B []"].assert_eq(&words(&told));
}

#[test]
fn a_check_meter_is_taken_as_it_is() {
    let facts = facts();
    let slots = household(&facts, start(), 40, 5);
    let gaps = [gap(10, 3)];
    let (series, lost) = hidden(&facts, &slots, &gaps);
    let check = Series::new(900, slots);
    let told = estimate(&GapInput { check: Some(&check), ..input(&facts, &series, &gaps) });
    let told = told.unwrap();
    assert_eq!((told[0].method, &told[0].values), (Method::Check, &lost[0]));
}

#[test]
fn last_year_is_scaled_to_the_use_of_now() {
    let mut facts = facts();
    let last_year = start().plus_seconds(-364 * 86_400);
    let mut slots = household(&facts, last_year, 45, 9);
    // This year twice as much; the neighbourhood of like days is not valid.
    let now = household(&facts, start(), 21, 9);
    slots.extend(now.iter().map(|slot| Slot { value: slot.value * 2, ..*slot }));
    let gaps = [gap(0, 24)];
    facts.holidays.insert(facts.calendar.date_of(gaps[0].from));
    let (series, _) = hidden(&facts, &slots, &gaps);
    let method = Some(Method::PreviousYear);
    let told = estimate(&GapInput { method, ..input(&facts, &series, &gaps) }).unwrap();
    let same = series
        .between(gaps[0].from.plus_seconds(-364 * 86_400), gaps[0].to.plus_seconds(-364 * 86_400));
    let before: i64 = same.iter().map(|slot| slot.value).sum();
    let ratio = told[0].total() * 100 / i128::from(before);
    assert!((190..=210).contains(&ratio), "{ratio}");
}

#[test]
fn a_holiday_is_like_a_holiday() {
    let mut facts = facts();
    let slots = household(&facts, start(), 60, 5);
    let gaps = [gap(0, 24)];
    let day = facts.calendar.date_of(gaps[0].from);
    let other = date(2026, 9, 9);
    facts.holidays.extend([day, other]);
    let (series, _) = hidden(&facts, &slots, &gaps);
    let told = estimate(&input(&facts, &series, &gaps)).unwrap();
    assert_eq!(told[0].inputs.reference_days[0], other);
    assert!(
        told[0].inputs.reference_days[1..]
            .iter()
            .all(|day| day.weekday() == jiff::civil::Weekday::Sunday)
    );
}

#[test]
fn days_of_23_and_25_hours_are_laid_on_others_by_the_wall() {
    let facts = facts();
    // Berlin: 2026-10-25 has 25 hours, 2026-03-29 has 23.
    for (day, want) in [("2026-10-24T22:00:00Z", 100), ("2026-03-28T23:00:00Z", 92)] {
        let from = utc(day);
        let shape = facts.calendar.day_containing(from);
        let gaps = [Gap::new(shape.start, shape.end)];
        let quiet = |slot: Slot| {
            let hour = facts.calendar.hour_of(slot.end.plus_seconds(-900));
            Slot { value: i64::from(hour) * 1000, ..slot }
        };
        let all = household(&facts, from.plus_seconds(-40 * 86_400), 80, 1);
        let slots: Vec<Slot> = all.into_iter().map(quiet).collect();
        let (series, lost) = hidden(&facts, &slots, &gaps);
        let told = &estimate(&input(&facts, &series, &gaps)).unwrap()[0];
        assert_eq!(told.values.len(), want);
        // The repeated hour has the same reference twice, the skipped one none.
        assert_eq!(told.values, lost[0], "{day}");
    }
}

#[test]
fn a_negative_residual_gives_zeros_and_a_far_scale_a_look() {
    let facts = facts();
    let slots = household(&facts, start(), 40, 5);
    let gaps = [gap(10, 3)];
    let (series, lost) = hidden(&facts, &slots, &gaps);
    let told = |advance: i64| {
        let registers = RegisterWindow {
            open_at: gaps[0].from,
            close_at: gaps[0].to,
            open: 0,
            close: advance,
            advance,
        };
        let input = GapInput { registers: Some(registers), ..input(&facts, &series, &gaps) };
        words(&estimate(&input))
    };
    expect!["EST-LIKEN C [the actual values exceed the register]"].assert_eq(&told(-1000));
    expect!["EST-LIKEN C [the register tells under a fifth or over five times as much]"]
        .assert_eq(&told(lost[0].iter().sum::<i64>() * 6));
    expect!["EST-LIKEN B []"].assert_eq(&told(lost[0].iter().sum()));
}

#[test]
fn the_back_test_moves_the_choice_away_from_the_line() {
    let facts = facts();
    // Every other quarter hour is idle, day by day alike: a line is always wrong.
    let saw = |slot: Slot| {
        let odd = slot.end.seconds() / 900 % 2 == 0;
        Slot { value: if odd { 400_000 } else { 10_000 }, ..slot }
    };
    let slots: Vec<Slot> = household(&facts, start(), 40, 5).into_iter().map(saw).collect();
    let gaps = [gap(10, 1)];
    let (series, lost) = hidden(&facts, &slots, &gaps);
    let told = &estimate(&input(&facts, &series, &gaps)).unwrap()[0];
    assert_eq!((told.method, &told.values), (Method::LikeMean, &lost[0]));
    assert_eq!(told.confidence.error_milli, Some(0));
    let line = told.alternatives.iter().find(|trial| trial.method == Method::Linear).unwrap();
    assert!(line.refused.is_none() && line.score.unwrap().mape_milli > 500);
    assert_eq!(line.values.len(), 4);
}

#[test]
fn an_exchange_makes_two_gaps_with_a_register_each() {
    let facts = ChannelFacts { ..facts() };
    let whole = gap(10, 6);
    let exchanged_at = whole.from.plus_seconds(2 * 3_600 + 500);
    let (old, new) = bridge::split(whole, exchanged_at, 900);
    let (old, new) = (old.unwrap(), new.unwrap());
    assert_eq!((old.from, new.to), (whole.from, whole.to));
    assert_eq!((old.to, old.slots(900)), (new.from, 8));
    let slots = household(&facts, start(), 40, 5);
    let (series, _) = hidden(&facts, &slots, &[whole]);
    let gaps = [old];
    let read = |at: UtcTime, value| flat::Read { at, value };
    let reads = [read(old.from.plus_seconds(-86_400), 0), read(old.from, 9_600_000)];
    // Without the final read: two hours of the average, and a person looks.
    let registers = bridge::projected(&reads, old.to, old.to);
    assert_eq!(registers.unwrap().advance, 800_000);
    let input = GapInput { registers, ..input(&facts, &series, &gaps) };
    let mut told = estimate(&input).unwrap();
    bridge::without_final_read(&mut told);
    assert_eq!(told[0].total(), 800_000);
    assert!(told[0].is_proposal());
    expect!["EST-ADL D [the old meter has no final read]"].assert_eq(&words(&Ok(told)));
}

#[test]
fn both_meters_have_a_part_in_the_slot_of_the_exchange() {
    let facts = facts();
    let slots = household(&facts, start(), 40, 5);
    let slot = Gap::new(gap(10, 6).from, gap(10, 6).from.plus_seconds(900));
    let (series, _) = hidden(&facts, &slots, &[slot]);
    let told = |advance| {
        let (open_at, close_at) = (slot.from, slot.to);
        let registers =
            Some(RegisterWindow { open_at, close_at, open: 0, close: advance, advance });
        estimate(&GapInput { registers, ..input(&facts, &series, &[slot]) }).unwrap()
    };
    let (mut old, mut new) = (told(30_000), told(12_000));
    let part = bridge::cut_shared(&mut old, 900).unwrap();
    assert_eq!((part, old.len()), ((slot.to, 30_000), 0));
    bridge::add_shared(&mut new, part, 900).unwrap();
    assert_eq!(new[0].values, [42_000]);
    assert_eq!(new[0].confidence.p10, Some(42_000));
}

#[test]
fn a_register_channel_is_estimated_flat_before_a_profile() {
    let mut facts = facts();
    facts.channel.kind = ChannelKind::Register;
    // A weekend is known; the gap is a Monday.
    let saturday = start().plus_seconds(4 * 86_400);
    let series = Series::new(900, household(&facts, saturday, 2, 5));
    let gaps = [Gap::new(saturday.plus_seconds(2 * 86_400), saturday.plus_seconds(3 * 86_400))];
    let flat = vec![1; 24];
    let profile = ClassProfile {
        id: "flat".to_owned(),
        slot_s: 3_600,
        weekday: flat.clone(),
        saturday: flat.clone(),
        sunday: flat,
        daily: 9_000_000,
    };
    let given = |facts| GapInput { profile: Some(&profile), ..input(facts, &series, &gaps) };
    expect!["EST-ADL D []"].assert_eq(&words(&estimate(&given(&facts))));
    let mut interval = facts.clone();
    interval.channel.kind = ChannelKind::Interval;
    let told = words(&estimate(&given(&interval)));
    expect!["EST-CLASS D [made from a class profile]"].assert_eq(&told);
}

/// The last line of the Must-show: signed bias and error by gap length and method, beside
/// the straight line and last week.
#[test]
fn masked_series_show_the_error_by_length_and_method() {
    let facts = facts();
    let all: Vec<Series> = (0..6)
        .map(|seed| Series::new(900, household(&facts, start(), 75, seed * 77 + 1)))
        .collect();
    let report = backtest_report(
        &all.iter()
            .map(|series| ReportSeries { facts: &facts, series, profile: None })
            .collect::<Vec<_>>(),
    );
    assert_eq!(report.inexact_sums, 0);
    let error = |class: MaskLength, scaled: bool, who: Contender| {
        let lines = report.lines();
        let found = lines
            .iter()
            .find(|line| line.class == class && line.scaled == scaled && line.contender == who);
        found.map(|line| line.mape_milli)
    };
    for line in report.lines() {
        println!(
            "{:>10} {} {:>22} {:>4} {:>5} {:>5}",
            line.class.word(),
            if line.scaled { "register" } else { "alone   " },
            line.contender.name(),
            line.tests,
            line.bias_milli,
            line.mape_milli,
        );
        assert!(line.tests <= 6 * u32::try_from(MASKS_MAX).unwrap());
    }
    for class in [MaskLength::Hours4, MaskLength::Day1, MaskLength::Days3, MaskLength::Days15] {
        for scaled in [false, true] {
            let own = error(class, scaled, Contender::Chosen).unwrap();
            assert!(own < error(class, scaled, Contender::Line).unwrap(), "{class:?}");
            if class < MaskLength::Days7 {
                assert!(own < error(class, scaled, Contender::LastWeek).unwrap(), "{class:?}");
            }
        }
    }
}

/// 7.5, step five: the slots of each rate add up to its own register.
#[test]
fn each_rate_adds_up_to_its_own_register() {
    let facts = facts();
    let slots = household(&facts, start(), 40, 5);
    let gaps = [gap(10, 14)];
    let (series, lost) = hidden(&facts, &slots, &gaps);
    let schedule = TouSchedule::day_and_night();
    let rate_of = |end| schedule.rate(&facts, end);
    let whole: i64 = lost[0].iter().sum();
    let (open_at, close_at) = (gaps[0].from, gaps[0].to);
    let window = |advance| RegisterWindow { open_at, close_at, open: 0, close: advance, advance };
    let day: i64 =
        gaps[0].ends(900).zip(&lost[0]).filter(|(end, _)| rate_of(*end) == 1).map(|x| x.1).sum();
    let told = |day: i64, night: i64| {
        let registers = [
            RateWindow { rate: 1, window: window(day) },
            RateWindow { rate: 2, window: window(night) },
        ];
        let rates = Some(TouInput { schedule: &schedule, registers: &registers });
        let input =
            GapInput { registers: Some(window(whole)), rates, ..input(&facts, &series, &gaps) };
        estimate(&input).unwrap().remove(0)
    };
    // A register that says the other way round than the total's share would.
    let shifted = day - 50_000;
    let one = told(shifted, whole - shifted);
    let by_rate = |one: &Estimate, rate| -> i64 {
        let of = gaps[0].ends(900).zip(&one.values).filter(|(end, _)| rate_of(*end) == rate);
        of.map(|(_, value)| value).sum()
    };
    assert_eq!((by_rate(&one, 1), by_rate(&one, 2)), (shifted, whole - shifted));
    assert_eq!(one.inputs.rates, [(1, shifted), (2, whole - shifted)]);
    assert!(one.values.iter().all(|value| value % 1000 == 0));
    // Rates that do not add up to the total (REG-TOU) tell nothing; the total still holds.
    let one = told(shifted, whole);
    assert_eq!(one.total(), i128::from(whole));
    assert!(one.inputs.rates.is_empty());
}
