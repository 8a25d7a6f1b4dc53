//! `headend bench rules`: what the whole rule catalogue costs, on one core.
//!
//! A fleet of one-channel meters (15 min; half electricity, three tenths water, the rest gas; see
//! `rules_fleet`) sends the slots of some days, in the order in which they would arrive, with 2 %
//! lost or late and everything around them. Only the time inside the engine counts; the records are
//! made outside of it. Then one meter in a hundred falls silent at an
//! instant of its own, and the time until the engine says so is compared with the time at which
//! the parameters say that it must.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use alerts::{Engine, Params, TransitionKind};
use metering::{Commodity, LogRecord, LoggedFrame, Subject, UtcTime};
use serde::Serialize;

use super::rules_fleet::{
    DAY_S, LATE_SLOTS, LEN_S, START_S, Way, asset, commodity, findings, heard, heartbeats, network,
    reading, way,
};
use crate::clock::{Clock, SystemClock};
use crate::console::words::thousands;
use crate::output::OutputFormat;

/// What the specification asks for (metering rules, section 10).
const READINGS_PER_S: i64 = 500_000;
const BYTES_PER_CHANNEL: usize = 520;
const FRAME_RECORDS: usize = 10_000;
const TICK_S: i64 = 60;
/// One meter in so many falls silent.
const SILENT_EVERY: u32 = 100;
/// After its silence a meter is lost at the latest; watched for so long, in days.
const SILENCE_DAYS: i64 = 4;

/// What is measured.
#[derive(Clone, Debug)]
pub struct RulesBench {
    /// Meters, each with one 15-min channel.
    pub channels: u32,
    /// Days of readings.
    pub days: u32,
    pub output: OutputFormat,
}

/// What `--output json` prints.
#[derive(Debug, Default, Serialize)]
pub struct RuleFigures {
    /// Interval values a second through the engine, day closes of the engine included.
    pub readings_per_s_per_core: f64,
    /// Mean bytes of state of a channel, with its share of the meter's.
    pub bytes_per_channel: usize,
    /// Validation of one closed channel-day (`vee`), in microseconds.
    pub day_close_us: f64,
    /// Engine time of the frames in which local days close, by channel and day, in microseconds.
    pub engine_day_us: f64,
    pub readings: u64,
    pub channels: u32,
    pub days: u32,
    pub transitions: u64,
    /// Numbers of the rules that said something, with how often.
    pub said_by_rule: BTreeMap<u8, u64>,
    /// Size of a snapshot of the whole state, by channel.
    pub snapshot_bytes_per_channel: usize,
    /// Resident memory of the process, in MiB, while the engine holds all channels.
    pub resident_mib: u64,
    pub silence: SilenceFigures,
}

/// How late silence is told, in seconds of log time behind the instant the parameters name.
#[derive(Debug, Default, Serialize)]
pub struct SilenceFigures {
    pub meters: usize,
    pub told: usize,
    pub told_wrongly: usize,
    pub error_s_p50: i64,
    pub error_s_max: i64,
}

/// Runs it and prints the figures.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(options: &RulesBench) -> anyhow::Result<()> {
    let clock = SystemClock::shared();
    // Nothing can be said meanwhile: what is printed would be measured too.
    let channels = thousands(i64::from(options.channels));
    writeln!(
        std::io::stderr(),
        "Measuring {} days of {channels} channels, then {SILENCE_DAYS} days of silence ...",
        options.days
    )?;
    let figures = measure(options, &*clock);
    print(&figures, options.output)
}

struct Bench<'a> {
    clock: &'a dyn Clock,
    engine: Engine,
    next_seq: i64,
    out: Vec<alerts::AlertTransition>,
    spent: Duration,
    transitions: u64,
    said: BTreeMap<u8, u64>,
    /// Meters that were told lost, and when.
    lost: BTreeMap<i32, i64>,
}

fn measure(options: &RulesBench, clock: &dyn Clock) -> RuleFigures {
    let mut bench = Bench {
        clock,
        engine: Engine::new(Params::default()),
        next_seq: 1,
        out: Vec::new(),
        spent: Duration::ZERO,
        transitions: 0,
        said: BTreeMap::new(),
        lost: BTreeMap::new(),
    };
    bench.provision(options.channels);
    bench.spent = Duration::ZERO;
    let (mut readings, mut closing) = (0_u64, Duration::ZERO);
    for slot in 1..=i64::from(options.days) * DAY_S / LEN_S {
        let before = bench.spent;
        readings += bench.slot(slot, options.channels, |_| true);
        // Electricity days close with their delivery lag, in the third hour of the next day.
        if slot * LEN_S % DAY_S <= 3 * 3_600 {
            closing += bench.spent.saturating_sub(before);
        }
    }
    let spent = bench.spent.as_secs_f64();
    let channel_days = f64::from(options.channels) * f64::from(options.days);
    let mut figures = RuleFigures {
        readings_per_s_per_core: readings as f64 / spent.max(1e-9),
        bytes_per_channel: bench.engine.state_bytes_per_channel(),
        day_close_us: super::day_close::micros(clock),
        engine_day_us: closing.as_secs_f64() * 1e6 / channel_days.max(1.0),
        readings,
        channels: options.channels,
        days: options.days,
        transitions: bench.transitions,
        said_by_rule: bench.said.clone(),
        snapshot_bytes_per_channel: bench.engine.snapshot().len()
            / usize::try_from(options.channels.max(1)).unwrap_or(1),
        resident_mib: super::cpu::resident_mib(),
        silence: SilenceFigures::default(),
    };
    figures.silence = bench.silence(options);
    figures
}

impl Bench<'_> {
    fn provision(&mut self, channels: u32) {
        let at = UtcTime::from_seconds(START_S - DAY_S);
        let mut records = network(channels);
        for number in 1..=channels {
            records.push(LogRecord::Meter(Box::new(asset(number))));
            if records.len() >= FRAME_RECORDS {
                self.apply(at, std::mem::take(&mut records));
            }
        }
        self.apply(at, records);
    }

    /// All meters that speak send the slot that ends `slot` quarter hours after the start, and what
    /// of a day ago is late; then ticks. Gives the number of readings.
    fn slot(&mut self, slot: i64, channels: u32, speaks: impl Fn(u32) -> bool) -> u64 {
        let end = START_S + slot * LEN_S;
        let log_time = UtcTime::from_seconds(end + 30);
        let (mut sent, mut records) = (0, heartbeats(channels, end));
        for number in (1..=channels).filter(|number| speaks(*number)) {
            // Those that fall silent are heard up to the instant that is measured from.
            let silent = number.is_multiple_of(SILENT_EVERY);
            if slot % 4 == 0 || silent {
                records.push(heard(number));
            }
            if slot > LATE_SLOTS && way(number, slot - LATE_SLOTS) == Way::Late && !silent {
                records.push(reading(number, slot - LATE_SLOTS));
                sent += 1;
            }
            if silent || way(number, slot) == Way::InTime {
                records.push(reading(number, slot));
                sent += 1;
            }
            if records.len() >= FRAME_RECORDS {
                self.apply(log_time, std::mem::take(&mut records));
            }
        }
        self.apply(log_time, records);
        if end % DAY_S == 3 * 3_600 {
            self.apply(log_time, findings(channels, end - 3 * 3_600));
        }
        for tick in 1..=LEN_S / TICK_S - 1 {
            self.apply(UtcTime::from_seconds(end + 30 + tick * TICK_S), vec![LogRecord::Tick]);
        }
        sent
    }

    fn apply(&mut self, log_time: UtcTime, records: Vec<LogRecord>) {
        let count = i64::try_from(records.len()).unwrap_or(0);
        if count == 0 {
            return;
        }
        let frame = LoggedFrame { shard: 0, first_seq: self.next_seq, log_time, records };
        self.next_seq += count;
        let start = self.clock.monotonic();
        self.engine.apply(&frame, &mut self.out);
        self.spent += self.clock.monotonic().saturating_sub(start);
        self.transitions += self.out.len() as u64;
        for transition in self.out.drain(..) {
            *self.said.entry(transition.rule.no.get()).or_default() += 1;
            if transition.rule.no.get() == 59
                && transition.kind == TransitionKind::Raised
                && let Subject::Meter(meter) = transition.subject
            {
                self.lost.entry(meter.get()).or_insert(transition.at.seconds());
            }
        }
    }

    /// Every hundredth meter stops at a slot of its own within the next day.
    fn silence(&mut self, options: &RulesBench) -> SilenceFigures {
        self.lost.clear();
        let first = i64::from(options.days) * DAY_S / LEN_S;
        let stops_at = |number: u32| first + i64::from(number / SILENT_EVERY) % 96;
        let is_silent = |number: u32| number.is_multiple_of(SILENT_EVERY);
        for slot in first + 1..=first + SILENCE_DAYS * DAY_S / LEN_S {
            self.slot(slot, options.channels, |number| {
                !is_silent(number) || slot <= stops_at(number)
            });
        }
        let mut errors = Vec::new();
        for number in (1..=options.channels).filter(|number| is_silent(*number)) {
            let heard_s = START_S + stops_at(number) * LEN_S + 30;
            let id = i32::try_from(number).unwrap_or(i32::MAX);
            if let Some(told) = self.lost.remove(&id) {
                errors.push(told - heard_s - lost_after_s(commodity(number)));
            }
        }
        errors.sort_unstable();
        let silent = usize::try_from(options.channels / SILENT_EVERY).unwrap_or(0);
        SilenceFigures {
            meters: silent,
            told: errors.len(),
            told_wrongly: self.lost.len(),
            error_s_p50: errors.get(errors.len() / 2).copied().unwrap_or(0),
            error_s_max: errors.iter().map(|error| error.abs()).max().unwrap_or(0),
        }
    }
}

/// COM-STALE calls a meter lost after this much silence when more slots than `k` are missing.
fn lost_after_s(commodity: Commodity) -> i64 {
    if commodity == Commodity::Electricity { DAY_S } else { 3 * DAY_S }
}

fn print(figures: &RuleFigures, output: OutputFormat) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if output == OutputFormat::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(figures)?)?;
        return Ok(());
    }
    if output == OutputFormat::Csv {
        for (name, value) in keyed(figures) {
            writeln!(out, "{name},{value}")?;
        }
        return Ok(());
    }
    for line in told(figures) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The figures by the keys of the JSON, for programs.
fn keyed(figures: &RuleFigures) -> [(&'static str, String); 12] {
    let silence = &figures.silence;
    [
        ("readings_per_s_per_core", format!("{:.0}", figures.readings_per_s_per_core)),
        ("bytes_per_channel", figures.bytes_per_channel.to_string()),
        ("day_close_us", format!("{:.1}", figures.day_close_us)),
        ("engine_day_us", format!("{:.1}", figures.engine_day_us)),
        ("snapshot_bytes_per_channel", figures.snapshot_bytes_per_channel.to_string()),
        ("resident_mib", figures.resident_mib.to_string()),
        ("transitions", figures.transitions.to_string()),
        ("rules_that_spoke", figures.said_by_rule.len().to_string()),
        ("silence.told", format!("{} of {}", silence.told, silence.meters)),
        ("silence.told_wrongly", silence.told_wrongly.to_string()),
        ("silence.error_s_p50", silence.error_s_p50.to_string()),
        ("silence.error_s_max", silence.error_s_max.to_string()),
    ]
}

/// The figures for people: what it is, how much with its unit, and what it should be.
fn told(figures: &RuleFigures) -> Vec<String> {
    #[expect(clippy::cast_possible_truncation, reason = "counts and rates stay far below i64")]
    let whole = |number: f64| thousands(number.round() as i64);
    let bytes = |number: usize| thousands(i64::try_from(number).unwrap_or(i64::MAX));
    let silence = &figures.silence;
    let rows: [(&str, String, &str, String); 9] = [
        (
            "Readings through the engine",
            whole(figures.readings_per_s_per_core),
            "/s and core",
            format!("target {} or more", thousands(READINGS_PER_S)),
        ),
        (
            "State of a channel",
            bytes(figures.bytes_per_channel),
            "B",
            format!("target {BYTES_PER_CHANNEL} or less"),
        ),
        (
            "Checks of a closed day",
            format!("{:.1}", figures.day_close_us),
            "us/channel",
            String::new(),
        ),
        (
            "Day close in the engine",
            format!("{:.1}", figures.engine_day_us),
            "us/channel",
            String::new(),
        ),
        ("Snapshot of a channel", bytes(figures.snapshot_bytes_per_channel), "B", String::new()),
        (
            "Memory of the process",
            thousands(i64::try_from(figures.resident_mib).unwrap_or(i64::MAX)),
            "MiB",
            format!("for {} channels", thousands(i64::from(figures.channels))),
        ),
        (
            "Alerts raised and cleared",
            thousands(i64::try_from(figures.transitions).unwrap_or(i64::MAX)),
            "",
            format!("by {} rules, in {} days", figures.said_by_rule.len(), figures.days),
        ),
        (
            "Silent meters told",
            bytes(silence.told),
            "",
            format!("of {}; {} told that were not silent", silence.meters, silence.told_wrongly),
        ),
        (
            "Told after it was due",
            thousands(silence.error_s_p50),
            "s",
            format!("half of them; the worst {} s", thousands(silence.error_s_max)),
        ),
    ];
    let head = format!(
        "The whole rule catalogue on one core: {} readings of {} channels in {} days.",
        thousands(i64::try_from(figures.readings).unwrap_or(i64::MAX)),
        thousands(i64::from(figures.channels)),
        figures.days
    );
    let line = |(what, value, unit, note): &(&str, String, &str, String)| {
        format!("{what:<28} {value:>12} {unit:<12} {note}").trim_end().to_owned()
    };
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_units_and_targets() {
        let figures = RuleFigures {
            readings_per_s_per_core: 1_317_628.4,
            bytes_per_channel: 523,
            readings: 19_200_000,
            channels: 20_000,
            days: 10,
            ..RuleFigures::default()
        };
        let lines = told(&figures);
        assert_eq!(
            lines[0],
            "The whole rule catalogue on one core: 19,200,000 readings of 20,000 channels in 10 \
             days."
        );
        assert_eq!(
            lines[1],
            "Readings through the engine     1,317,628 /s and core  target 500,000 or more"
        );
        assert_eq!(
            lines[2],
            "State of a channel                    523 B            target 520 or less"
        );
        assert!(lines.iter().all(|line| line.len() <= 100), "{lines:#?}");
    }
}
