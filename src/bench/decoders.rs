//! `headend bench protocols`: what one core decodes of each payload format in a second.
//!
//! The messages are those of the simulators, a few hundred different ones each, decoded over and
//! over for a fixed time on one thread: bytes in, reports out, nothing stored. A Sparkplug host
//! keeps the births that it heard. Of Modbus, an answer of 100 registers of 16 bits is read. A
//! message of an interval file is the whole file. To add a decoder, add a line to [`lines`].

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use metering::time::DAY_S;
use metering::{Unit, UtcTime};
use protocols::amr::wmbus::{Keys, Receiver};
use protocols::modbus::frame::{Framing, Received, Request};
use protocols::modbus::pdu::{Answer, Function, ReadRequest};
use protocols::modbus::profile::{Register, RegisterType, Scale, Use, WordOrder};
use protocols::modbus::value::Decoded;
use protocols::sparkplug::Nodes;
use protocols::{DecodeContext, DecodeOptions, Format, Mapping, decode_with};
use serde::Serialize;
use simulators::edge::{EdgeSpec, sparkplug_nodes};
use simulators::senders::{SenderKind, SenderSpec, Senders};
use simulators::{Fleet, FleetSpec, HeardFleet, HeardKind, HeardSpec, SimMessage};

use super::files::{self, BenchFile};
use crate::clock::{Clock, SystemClock};
use crate::output::OutputFormat;

const START_S: i64 = 1_790_000_000;
const METERS: u32 = 60;
/// Registers of one Modbus answer.
const REGISTERS: u16 = 100;
/// Different messages of a line.
const MESSAGES_MAX: usize = 500;
const OBJECT: &str = "[mapping]\nname = \"water\"\nformat = \"object\"\n\n[[channel]]\n\
    path = \"/volume_l\"\nfield = \"volume\"\nunit = \"L\"\nkind = \"cumulative\"\n";
const RTL_433: &str = r#"{"time":"2026-09-21 13:33:20","model":"ERT-SCM","id":54585868,"ert_type":4,"physical_tamper":0,"encoder_tamper":0,"consumption_data":562456,"mic":"CRC"}"#;
const WMBUSMETERS: &str = r#"{"_":"telegram","media":"cold water","meter":"multical21","name":"m","id":"00123456","total_m3":12.345,"target_m3":10.5,"target_date":"2026-08-31","flow_temperature_c":12,"external_temperature_c":20,"current_status":"","status":"OK","timestamp":"2026-09-21T13:33:20Z"}"#;
const ZIGBEE: &str =
    r#"{"energy":12.34,"power":56,"voltage":231,"current":0.25,"state":"ON","linkquality":120}"#;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct DecoderBench {
    /// Time of each decoder.
    pub each: Duration,
    pub output: OutputFormat,
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub struct DecoderFigures {
    pub decoder: String,
    /// Messages a second on one core.
    pub messages_per_s_per_core: f64,
    /// Values (of intervals, registers, instants) in them.
    pub values_per_s_per_core: f64,
    pub megabytes_per_s_per_core: f64,
    /// Different messages, and their mean size in bytes.
    pub messages: usize,
    pub bytes_mean: usize,
}

/// What one decoder is given.
struct Line {
    name: String,
    format: Format,
    messages: Vec<SimMessage>,
    mapping: Option<Mapping>,
    reader: Reader,
}

/// What reads it, and what it keeps between messages.
enum Reader {
    Format(Receiver),
    Sparkplug(Nodes),
    Modbus(Request, Vec<Register>),
    File(Box<BenchFile>),
}

/// Runs every decoder and prints the figures.
///
/// # Errors
/// A simulator's messages are refused, or standard output cannot be written.
pub fn run(options: DecoderBench) -> anyhow::Result<()> {
    print(&figures(options.each)?, options.output)
}

/// Measures every decoder for so long.
///
/// # Errors
/// A simulator's messages are refused.
pub fn figures(each: Duration) -> anyhow::Result<Vec<DecoderFigures>> {
    let clock = SystemClock::new();
    lines()?.into_iter().map(|line| measure(line, each, &clock)).collect()
}

fn lines() -> anyhow::Result<Vec<Line>> {
    let start = UtcTime::from_seconds(START_S);
    let fleet = fleet(start)?;
    let of = |format, radio: bool| {
        let of_kind = |m: &&SimMessage| m.topic.starts_with("amr/") == radio;
        Line::new(format, fleet.iter().filter(of_kind).cloned())
    };
    let mut lines = vec![of(Format::Bundle, false), of(Format::Rtlamr, true)];
    let one = |format, topic: &str, text: &str| {
        let payload = text.as_bytes().to_vec();
        let message = SimMessage { sent_at: start, topic: topic.to_owned(), payload, reads: 0 };
        Line::new(format, std::iter::once(message))
    };
    lines.push(one(Format::Rtl433, "rtl_433/pi/events", RTL_433));
    lines.push(one(Format::Wmbusmeters, "wmbusmeters/m", WMBUSMETERS));
    lines.push(wmbus(start)?);
    let preset = protocols::mapping::Preset::find("zigbee2mqtt").and_then(|known| known.mapping());
    lines.push(Line { mapping: preset, ..one(Format::Mapping, "zigbee2mqtt/plug", ZIGBEE) });
    let object = Mapping::parse(OBJECT).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    for (kind, word) in SenderKind::ALL {
        let format = word.parse().context("a simulator's format")?;
        let line = Line::new(format, senders(kind, start).into_iter());
        lines.push(Line { mapping: Some(object.clone()), ..line });
    }
    let spec = EdgeSpec { seed: 7, meters: METERS, start, every_s: 900, faults: false };
    let nodes = sparkplug_nodes(&spec, 24).messages.into_iter();
    let reader = Reader::Sparkplug(Nodes::default());
    lines.push(Line { reader, ..Line::new(Format::Sparkplug, nodes) });
    lines.push(modbus(start)?);
    lines.extend(files::all(start)?.into_iter().map(|file| Line::of_file(file, start)));
    Ok(lines)
}

/// Modbus TCP answers of 100 registers, each a value of its own.
fn modbus(start: UtcTime) -> anyhow::Result<Line> {
    let read = ReadRequest::new(Function::Input, 0, REGISTERS).context("a Modbus request")?;
    let request = Request { unit: 1, read, transaction: 1 };
    let register = |address| Register {
        channel: "energy_active_import_total".to_owned(),
        function: Function::Input,
        address,
        kind: RegisterType::U16,
        unit: Unit::WattHour,
        use_: Use::Cumulative,
        order: WordOrder::Big,
        scale: Scale::Power(-1),
        absent: Vec::new(),
        range: None,
    };
    let answer = |n: u16| {
        let mut payload = vec![0, 1, 0, 0, 0, 203, 1, 4, 200];
        payload.extend((0..REGISTERS).flat_map(|at| (n * 100 + at).to_be_bytes()));
        SimMessage { sent_at: start, topic: String::new(), payload, reads: REGISTERS.into() }
    };
    let reader = Reader::Modbus(request, (0..REGISTERS).map(register).collect());
    Ok(Line { reader, ..Line::new(Format::ModbusPoll, (0..300).map(answer)) })
}

fn fleet(start: UtcTime) -> anyhow::Result<Vec<SimMessage>> {
    let history_start = start.plus_seconds(-DAY_S);
    let spec = FleetSpec {
        seed: 7,
        meters: METERS,
        collectors: FleetSpec::collectors_for(METERS),
        zone: "Europe/Berlin".to_owned(),
        history_start,
        live_start: start,
        live_end: start.plus_seconds(7_200),
    };
    let mut fleet = Fleet::new(spec)?;
    drop(fleet.messages(history_start, start));
    Ok(fleet.messages(start, start.plus_seconds(7_200)))
}

fn wmbus(start: UtcTime) -> anyhow::Result<Line> {
    let mut fleet = HeardFleet::new(HeardSpec {
        seed: 7,
        kind: HeardKind::Wmbus,
        meters: METERS,
        collectors: 2,
        start,
        faulty: false,
    })?;
    let keys = Keys::parse(&fleet.keys()).context("the simulated devices' keys")?;
    let messages = fleet.messages(start, start.plus_seconds(3_600));
    let line = Line::new(Format::Wmbus, messages.into_iter());
    Ok(Line { reader: Reader::Format(Receiver::new(Arc::new(keys))), ..line })
}

fn senders(kind: SenderKind, start: UtcTime) -> Vec<SimMessage> {
    let end = start.plus_seconds(6 * 3_600);
    let mut senders = Senders::new(SenderSpec {
        kind,
        seed: 7,
        meters: METERS,
        zone: TimeZone::fixed(jiff::tz::offset(1)),
        zone_name: "Etc/GMT-1".to_owned(),
        start,
        end,
        faults: false,
    });
    senders.run(start, end).messages
}

impl Line {
    fn new(format: Format, messages: impl Iterator<Item = SimMessage>) -> Self {
        let messages = messages.take(MESSAGES_MAX).collect();
        let reader = Reader::Format(Receiver::default());
        Self { name: format.to_string(), format, messages, mapping: None, reader }
    }

    fn of_file(file: BenchFile, start: UtcTime) -> Self {
        let payload = file.bytes.clone();
        let message = SimMessage { sent_at: start, topic: String::new(), payload, reads: 0 };
        let name = file.format.to_string();
        let line = Self::new(Format::Bundle, std::iter::once(message));
        Self { name, reader: Reader::File(Box::new(file)), ..line }
    }

    /// Values in the message; `None` when it was refused.
    fn decode(&mut self, at: usize, zone: &TimeZone) -> Option<u64> {
        let message = &self.messages[at];
        let context = DecodeContext {
            topic: &message.topic,
            received_at: message.sent_at,
            zone: Some(zone),
            collector: None,
            mapping: self.mapping.as_ref(),
            options: &DecodeOptions::DEFAULT,
        };
        let payload = &message.payload;
        let reports = match &mut self.reader {
            Reader::Format(receiver) => {
                decode_with(self.format, &context, receiver, payload).ok()?
            }
            Reader::Sparkplug(nodes) => {
                let heard = nodes.receive(&context, payload, false);
                heard.refused.is_none().then_some(heard.reports)?
            }
            Reader::Modbus(request, registers) => return registers_of(request, registers, payload),
            Reader::File(file) => return file.read(message.sent_at, zone),
        };
        Some(std::hint::black_box(reports).iter().map(protocols::DeviceReport::reads).sum())
    }
}

fn registers_of(request: &Request, registers: &[Register], frame: &[u8]) -> Option<u64> {
    let received = Framing::Tcp.receive(request, frame).ok()?;
    let Received::Whole(Answer::Registers(words), _) = received else { return None };
    let value = |register: &&Register| {
        let decoded = register.decode(|at| words.get(usize::from(at)).copied());
        matches!(std::hint::black_box(decoded), Decoded::Value(_))
    };
    u64::try_from(registers.iter().filter(value).count()).ok()
}

fn measure(mut line: Line, length: Duration, clock: &dyn Clock) -> anyhow::Result<DecoderFigures> {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let count = line.messages.len();
    // Once without the clock: caches warm, and refusals told.
    let accepted = (0..count).filter(|at| line.decode(*at, &zone).is_some()).count();
    anyhow::ensure!(
        accepted * 2 > count,
        "{}: only {accepted} of {count} simulated messages are accepted",
        line.name
    );
    let bytes: usize = line.messages.iter().map(|message| message.payload.len()).sum();
    let (mut rounds, mut values) = (0_u64, 0_u64);
    let start = clock.monotonic();
    let mut elapsed = Duration::ZERO;
    while elapsed < length {
        for at in 0..count {
            values += line.decode(at, &zone).unwrap_or(0);
        }
        rounds += 1;
        elapsed = clock.monotonic().saturating_sub(start);
    }
    let rate = |amount: f64| amount / elapsed.as_secs_f64();
    Ok(DecoderFigures {
        decoder: line.name,
        messages_per_s_per_core: rate(rounds as f64 * count as f64),
        values_per_s_per_core: rate(values as f64),
        megabytes_per_s_per_core: rate(rounds as f64 * bytes as f64 / 1e6),
        messages: count,
        bytes_mean: bytes / count.max(1),
    })
}

fn print(figures: &[DecoderFigures], output: OutputFormat) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match output {
        OutputFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(figures)?)?,
        OutputFormat::Csv => {
            writeln!(out, "decoder,messages_per_s,values_per_s,megabytes_per_s,bytes_mean")?;
            for one in figures {
                writeln!(
                    out,
                    "{},{:.0},{:.0},{:.1},{}",
                    one.decoder,
                    one.messages_per_s_per_core,
                    one.values_per_s_per_core,
                    one.megabytes_per_s_per_core,
                    one.bytes_mean
                )?;
            }
        }
        OutputFormat::Table => {
            writeln!(
                out,
                "{:<14} {:>14} {:>14} {:>8}",
                "decoder", "messages/s", "values/s", "MB/s"
            )?;
            for one in figures {
                writeln!(
                    out,
                    "{:<14} {:>14.0} {:>14.0} {:>8.1}",
                    one.decoder,
                    one.messages_per_s_per_core,
                    one.values_per_s_per_core,
                    one.megabytes_per_s_per_core
                )?;
            }
        }
    }
    Ok(())
}
