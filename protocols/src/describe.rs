//! Reports as lines of text, for the expected values of tests.

use std::fmt::Write as _;

use crate::format::Rejected;
use crate::observation::{DeviceReport, Observation, ObservedTime};

pub(crate) fn describe(decoded: Result<Vec<DeviceReport>, Rejected>) -> String {
    match decoded {
        Ok(reports) => reports.iter().map(report).collect(),
        Err(refused) => format!("refused {refused}\n"),
    }
}

fn report(report: &DeviceReport) -> String {
    let mut text = report.source_id.to_string();
    if let Some(collector) = &report.collector {
        write!(text, " via {collector}").unwrap();
    }
    write!(text, " heard {}", time(report.heard_at)).unwrap();
    if let Some(rssi) = report.rssi_dbm {
        write!(text, ", rssi {rssi}").unwrap();
    }
    if let Some(battery) = report.battery_mv {
        write!(text, ", {battery} mV").unwrap();
    }
    if !report.raw_status.is_empty() {
        write!(text, ", status `{}`", report.raw_status).unwrap();
    }
    if report.repeat_window_s != 0 {
        write!(text, ", repeats {} s", report.repeat_window_s).unwrap();
    }
    writeln!(text, ", {} reads", report.reads()).unwrap();
    for seen in &report.observations {
        writeln!(text, "  {} ({})", observation(seen), time(seen.time())).unwrap();
    }
    for event in &report.events {
        let nature = match (event.level, event.counter) {
            (true, true) => "counter",
            (true, false) => "level",
            _ => "once",
        };
        let (code, seq, detail) = (event.code, event.seq, &event.detail);
        writeln!(text, "  event {code}/{seq} {nature} `{detail}` ({})", time(event.at)).unwrap();
    }
    text
}

fn observation(seen: &Observation) -> String {
    let word = |set: bool, word: &str| if set { format!(" {word}") } else { String::new() };
    match seen {
        Observation::Series {
            field,
            unit,
            len_s,
            first_end,
            exponent,
            values,
            flags,
            history,
            ..
        } => {
            let unit = unit.map_or_else(|| "?".to_owned(), |unit| unit.to_string());
            let mut text = format!("series {field} {unit} {len_s} s from {first_end} e{exponent}:");
            for (n, value) in values.iter().enumerate() {
                match value {
                    Some(value) => write!(text, " {value}").unwrap(),
                    None => text.push_str(" -"),
                }
                if let Some(flags) = flags.get(n).filter(|flags| !flags.is_empty()) {
                    write!(text, "[{}]", flags.words().join(",")).unwrap();
                }
            }
            text + &word(*history, "history")
        }
        Observation::Register { field, unit, value, modulus, history, suspect, .. } => {
            let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
            let modulus = modulus.map_or_else(String::new, |m| format!(" mod {m}"));
            let (history, suspect) = (word(*history, "history"), word(*suspect, "suspect"));
            format!("register {field} {value}{unit}{modulus}{history}{suspect}")
        }
        Observation::Instant { field, unit, value, history, .. } => {
            let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
            format!("instant {field} {value}{unit}{}", word(*history, "history"))
        }
    }
}

fn time(time: ObservedTime) -> String {
    let mut text = format!("{} {}", time.at, time.origin);
    for (set, word) in [
        (time.zone_assumed, " zone assumed"),
        (time.ambiguous, " ambiguous"),
        (time.doubtful, " doubtful"),
    ] {
        text.push_str(if set { word } else { "" });
    }
    text
}
