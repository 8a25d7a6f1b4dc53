//! The scorecard for people.

use std::io::{self, Write};

use super::card::{Card, CauseScore};
use super::statistics::share;
use super::{Ablation, Scorecard, Yardstick};

pub(super) fn write(card: &Scorecard, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{} events per cause, {} days from {}, seeds {:?}, {} % delivered",
        card.inject,
        card.days,
        &card.start[..10.min(card.start.len())],
        card.seeds,
        card.delivery_percent
    )?;
    write_card("Injected faults", &card.injected, out)?;
    writeln!(out, "  no rule names these, so none is planted:")?;
    for one in &card.staff_only {
        writeln!(out, "  {:<19} {}", one.cause, one.why)?;
    }
    if let Some(natural) = &card.natural {
        write_card("Faults at natural rates", natural, out)?;
    }
    if let Some(estimation) = &card.estimation {
        writeln!(
            out,
            "\nEstimates on masked actuals: {} channels, {} sums that do not add up",
            estimation.channels, estimation.inexact_sums
        )?;
        for line in &estimation.lines {
            writeln!(
                out,
                "  {:<12} {:<7} {:<13} {:<24} {:>6} tests  bias {:>7.1}%  MAPE {:>6.1}%  by rate {:>6.1}%",
                line.commodity,
                line.gap,
                if line.scaled { "with register" } else { "alone" },
                line.method,
                line.tests,
                line.bias_percent,
                line.mape_percent,
                line.tou_percent
            )?;
        }
    }
    writeln!(out, "\nCompared")?;
    let mut rows = vec![Yardstick::of("rules", &card.injected), card.naive.clone()];
    if let Some(natural) = &card.natural {
        rows.push(Yardstick::of("rules, natural rates", natural));
    }
    rows.extend(card.naive_natural.clone());
    for row in rows {
        writeln!(
            out,
            "  {:<34} recall {:>6}  precision {:>6}  false per 1,000 meter-months {:>9.2}",
            row.name,
            percent(row.recall_mean),
            percent(row.precision),
            row.false_per_1000_meter_months
        )?;
    }
    write_ablations(&card.ablations, out)
}

/// One line for each cause of each fleet.
pub(super) fn write_csv(card: &Scorecard, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "fleet,cause,injected,detected,told,exact,recall,right,explained,wrong,precision,ttd_p50_s,\
         ttd_p90_s,ttd_p99_s"
    )?;
    let fleets = [("injected", Some(&card.injected)), ("natural", card.natural.as_ref())];
    for (name, fleet) in fleets.into_iter().filter_map(|(name, card)| Some((name, card?))) {
        for one in &fleet.causes {
            let share = |share: Option<f64>| share.map_or(String::new(), |one| format!("{one:.4}"));
            writeln!(
                out,
                "{name},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                one.cause,
                one.injected,
                one.detected,
                one.told,
                one.exact,
                share(one.recall),
                one.right,
                one.explained,
                one.wrong,
                share(one.precision),
                one.ttd_s.p50,
                one.ttd_s.p90,
                one.ttd_s.p99
            )?;
        }
    }
    Ok(())
}

fn write_ablations(rows: &[Ablation], out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nWhat each guard is worth (smaller fleets)\n  {:<36} {:>7} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "", "recall", "precision", "false", "natural", "false", "same"
    )?;
    for row in rows {
        let lost = row.lost.iter().take(3).map(|(cause, less)| format!("{cause} {less:+.2}"));
        writeln!(
            out,
            "  {:<36} {:>7} {:>9} {:>9.2} {:>9} {:>9.2} {:>7}  {}",
            row.name,
            percent(row.recall_mean),
            percent(row.precision),
            row.false_per_1000_meter_months,
            percent(row.natural_precision),
            row.natural_false_per_1000_meter_months,
            percent(Some(row.same_alerts)),
            lost.collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(())
}

const HEADS: &str = concat!(
    "                       in-                        as right p",
    "reci-                        time to detect       on way",
    "\n",
    "  cause               ject recall         95 % issue cause  ",
    " sion        of         95 %    p50    p90    p99     p50",
);

fn write_card(title: &str, card: &Card, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{title}: {} meters, {} readings, {:.0} meter-months, {} dead letters",
        card.meters, card.readings, card.meter_months, card.dead_letters
    )?;
    writeln!(out, "{HEADS}")?;
    for cause in &card.causes {
        write_cause(cause, out)?;
    }
    writeln!(
        out,
        "  mean recall over the causes {}; precision of all issues {} ({} with duplicates as false, {} \
         with records)\n  false issues per 1,000 meter-months {:.2}\n  \
         recorded only, false per 1,000 meter-months {:.2}; {} issues of {} alerts ({:.2} announced)",
        percent(card.recall_mean),
        percent(card.precision),
        percent(card.precision_without_duplicates),
        percent(card.precision_with_records),
        card.false_per_1000_meter_months,
        card.false_records_per_1000_meter_months,
        card.issues,
        card.alerts_raised,
        card.grouping_ratio
    )?;
    let collectors = &card.collectors;
    writeln!(
        out,
        "  told to one operator who acknowledges nothing: {} announcements, {:.1} a day, at most {}, {:.2} in 10 min, {} in flood",
        card.operator.announcements,
        card.operator.per_day_mean,
        card.operator.per_day_max,
        card.operator.mean_per_10_min,
        percent(Some(card.operator.flood_share))
    )?;
    writeln!(
        out,
        "  collector outages {}, with exactly one issue {}, members told all the same {}",
        collectors.outages, collectors.with_one_issue, collectors.leaked
    )?;
    write_harm(card, out)?;
    write_false(card, out)
}

/// What leaks cost before anybody knew, and what bills suffer.
fn write_harm(card: &Card, out: &mut impl Write) -> io::Result<()> {
    let (leaks, billing) = (&card.leaks, &card.billing);
    if leaks.litres > 0 {
        writeln!(
            out,
            "  leaks and bursts: {} m3, of it {} m3 before the alert; volume-weighted recall {}",
            leaks.litres / 1_000,
            leaks.litres_before_alert / 1_000,
            percent(leaks.volume_recall)
        )?;
    }
    writeln!(
        out,
        "  billing: {} intervals, {} held ({} wrongly); {} had wrong values, {} were released all the same",
        billing.intervals,
        billing.held,
        billing.wrongly_held,
        billing.wrong,
        billing.wrongly_released
    )?;
    for one in billing.by_fault.iter().filter(|one| one.released > 0) {
        writeln!(
            out,
            "    wrong by {:<18} {:>8}, released {:>8} ({})",
            one.fault,
            one.wrong,
            one.released,
            percent(share(one.released, one.wrong))
        )?;
    }
    Ok(())
}

fn write_false(card: &Card, out: &mut impl Write) -> io::Result<()> {
    for one in &card.false_issues {
        writeln!(
            out,
            "  false {:<22} {:<14} {:<18} {:>5} issues {:>5} records",
            one.cause, one.rule, one.look_alike, one.issues, one.for_record
        )?;
        writeln!(out, "        {}", one.examples.join(", "))?;
    }
    for one in &card.look_alikes {
        writeln!(
            out,
            "  look-alike {:<20} planted {:>5}, false {:>4}",
            one.class, one.planted, one.false_issues
        )?;
    }
    for one in card.confusion.iter().filter(|one| one.truth != one.said) {
        writeln!(out, "  {:<22} was called {:<22} {:>5}", one.truth, one.said, one.count)?;
    }
    Ok(())
}

fn write_cause(cause: &CauseScore, out: &mut impl Write) -> io::Result<()> {
    if let Some(why) = &cause.not_injected {
        let wrong = cause.wrong;
        return writeln!(out, "  {:<19} {:>4} not injected: {why}; false {wrong}", cause.cause, 0);
    }
    writeln!(
        out,
        "  {:<19} {:>4} {:>6} {:>12} {:>5} {:>5} {:>6} {:>9} {:>12} {:>6} {:>6} {:>6} {:>7}",
        cause.cause,
        cause.injected,
        percent(cause.recall),
        range(cause.recall_95),
        cause.told,
        cause.exact,
        percent(cause.precision),
        format!("{}/{}", cause.right, cause.right + cause.wrong),
        range(cause.precision_95),
        time(cause.ttd_s.p50),
        time(cause.ttd_s.p90),
        time(cause.ttd_s.p99),
        time(cause.ttd_transport_s.p50)
    )?;
    for one in cause.scenarios.iter().filter(|one| one.detected < one.injected) {
        writeln!(
            out,
            "    {:<20} {:>8} found {:>4}, right cause {:>4}, p50 {}",
            one.name,
            one.injected,
            one.detected,
            one.exact,
            time(one.ttd_p50_s)
        )?;
        for missed in &one.missed {
            writeln!(out, "        {missed}")?;
        }
    }
    Ok(())
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

fn range(range: Option<(f64, f64)>) -> String {
    range.map_or("-".to_owned(), |(low, high)| format!("{low:.3}-{high:.3}"))
}

fn time(seconds: i64) -> String {
    match seconds {
        0..7_200 => format!("{}min", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
