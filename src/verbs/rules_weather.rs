//! `headend rules weather`: daily mean temperatures from a file, so that the rules can tell a cold
//! day from a strange one.

use std::path::Path;

use metering::UtcTime;
use store::Database;
use store::rules::weather::{DayMean, tell};

use super::exit::{Exit, Failure};
use super::rules::read;
use crate::output::say;

/// A header, then `date,mean_c` or `date,mean_c,zone`, a line for each day.
const HEADS: [&str; 2] = ["date,mean_c", "date,mean_c,zone"];

pub(super) async fn load(database: &Database, file: &Path, now: UtcTime) -> anyhow::Result<()> {
    let days = parse(&read(file)?).map_err(|(line, what)| {
        Failure::new(Exit::Data, format!("{}:{line}: {what}", file.display()))
    })?;
    let told = tell(database, &days, now).await?;
    say!("{told} days of weather told to the rules")?;
    Ok(())
}

/// The days of the text, or the line with what is wrong with it.
fn parse(text: &str) -> Result<Vec<DayMean>, (usize, String)> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let head = lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
    if !HEADS.contains(&head) {
        return Err((1, format!("the first line must be `{}` or `{}`", HEADS[0], HEADS[1])));
    }
    let rows = lines.filter(|(_, line)| !line.is_empty());
    rows.map(|(at, line)| day(line).map_err(|what| (at, what))).collect()
}

fn day(line: &str) -> Result<DayMean, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let (date, mean, zone) = match fields[..] {
        [date, mean] => (date, mean, ""),
        [date, mean, zone] => (date, mean, zone),
        _ => return Err(format!("`{line}` has {} fields; 2 or 3 are wanted", fields.len())),
    };
    let noon = UtcTime::parse_rfc3339(&format!("{date}T12:00:00Z"))
        .ok_or_else(|| format!("`{date}` is no date such as 2026-11-22"))?;
    let centi = centi(mean)
        .filter(|centi| (-9_000..=6_000).contains(centi))
        .ok_or_else(|| format!("`{mean}` is no temperature in degrees C such as -3.5"))?;
    Ok(DayMean { zone: (!zone.is_empty()).then(|| zone.to_owned()), noon, centi })
}

/// Hundredths of a decimal number; digits beyond are cut off.
fn centi(text: &str) -> Option<i32> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    Some(sign * (whole.parse::<i32>().ok()? * 100 + part.parse::<i32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_faults_have_a_line() {
        let days = parse("date,mean_c,zone\n2026-11-20,-3.5\n\n2026-11-21,12.345,NORTH\n").unwrap();
        assert_eq!(days.iter().map(|day| day.centi).collect::<Vec<_>>(), [-350, 1_234]);
        assert_eq!(days[1].zone.as_deref(), Some("NORTH"));
        assert_eq!(days[0].noon.to_string(), "2026-11-20T12:00:00Z");
        assert_eq!(parse("day,t\n").unwrap_err().0, 1);
        for (line, word) in
            [("2026-13-01,3", "date"), ("2026-11-01,warm", "temperature"), ("1", "fields")]
        {
            let (at, what) = parse(&format!("date,mean_c\n{line}\n")).unwrap_err();
            assert!(at == 2 && what.contains(word), "{what}");
        }
        assert_eq!([centi("0"), centi("-0.05"), centi("1e3")], [Some(0), Some(-5), None]);
    }
}
