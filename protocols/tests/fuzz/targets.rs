//! The table of decoders that any bytes are thrown at. To add one, add a line to [`TARGETS`]:
//!
//! - name: letters, digits and `-`; the stream of inputs and the folder of found cases hang on it;
//! - seeds: good inputs of your own making (a line each in `seeds.rs` or a file of your own, or an `include_bytes!`),
//!   which `run(seed, 0)` accepts, with every branch of the decoder in one of them;
//! - run: decodes, looks at all of what came out (walk every list, print it) and returns whether
//!   the input was accepted. The second argument counts up from 0: take settings from its bits
//!   (topic, zone, options), so that each is met. A panic in it is a finding, so assert freely.
//!
//! Payload formats of [`Format`] take [`message`]; state machines write their own `fn`.

use std::sync::Arc;

use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::amr::wmbus::{Keys, Receiver};
use protocols::{DecodeContext, DecodeOptions, DeviceReport, Format, Rejected, decode};

use crate::{files, meters, modbus, payloads, seeds};

pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: &'static [&'static [u8]],
    pub(crate) run: Run,
    /// One allocation may be so many times the input, and 64 KiB.
    pub(crate) times: usize,
}

type Run = fn(input: &[u8], variant: u64) -> bool;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("modbus-frame", modbus::FRAME, modbus::frame),
    Target::new("modbus-poll", modbus::POLL, modbus::poll),
    Target::new("modbus-gateway", modbus::LINE, modbus::gateway),
    Target::new("modbus-profile", modbus::PROFILE, modbus::profile).times(TOML),
    Target::new("mapping-text", payloads::TEXT, payloads::text).times(TOML),
    Target::new("mapping-json", payloads::JSON, payloads::json),
    Target::new("mapping-records", payloads::RECORDS, payloads::records),
    Target::new("mapping-csv", payloads::CSV, payloads::csv),
    Target::new("mapping-object", payloads::OBJECT, payloads::object),
    Target::new("sparkplug", payloads::SPARKPLUG, payloads::sparkplug),
    Target::new("nem12", files::NEM12, files::nem12),
    Target::new("cmep", files::CMEP, files::cmep),
    Target::new("espi", files::ESPI, files::espi),
    Target::new("beacon", files::BEACON, files::beacon),
    Target::new("layout", files::LAYOUT, files::layout),
    Target::new("zip", files::ZIP, files::zip).times(2 * 200),
    Target::new("bundle", seeds::BUNDLE, |input, n| {
        message(Format::Bundle, "ami/up/E-1", input, n)
    }),
    Target::new("rtlamr", seeds::RTLAMR, |input, n| message(Format::Rtlamr, "rtlamr", input, n)),
    Target::new("rtl-433", seeds::RTL_433, |input, n| {
        message(Format::Rtl433, "rtl_433/pi/events", input, n)
    }),
    Target::new("wmbusmeters", seeds::WMBUSMETERS, |input, n| {
        message(Format::Wmbusmeters, "wmbusmeters/1", input, n)
    }),
    Target::new("wmbus", seeds::WMBUS, wmbus),
    Target::new("tasmota", meters::TASMOTA, meters::tasmota),
    Target::new("shelly", meters::SHELLY, meters::shelly),
    Target::new("amsreader", meters::AMSREADER, meters::amsreader),
    Target::new("p1", meters::P1, meters::p1),
    Target::new("chirpstack", meters::CHIRPSTACK, meters::chirpstack),
    Target::new("the-things", meters::THE_THINGS, meters::the_things),
];

/// The TOML library keeps a record of each sign that it did not expect. What it reads are the
/// operator's own texts, of bounded length.
const TOML: usize = 128;

impl Target {
    const fn new(name: &'static str, seeds: &'static [&'static [u8]], run: Run) -> Self {
        Self { name, seeds, run, times: 4 }
    }

    const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

/// Decodes a payload and looks at everything that a reader of the reports would. Variant 0 knows
/// a zone and a collector.
fn message(format: Format, topic: &str, input: &[u8], variant: u64) -> bool {
    zoned(topic, variant, |context| judged(context, format, input))
}

/// With and without a zone and a collector; variant 0 has both.
pub(crate) fn zoned<T>(topic: &str, variant: u64, run: impl FnOnce(&DecodeContext<'_>) -> T) -> T {
    // A fixed zone costs no look into the zone database.
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    run(&DecodeContext {
        zone: (variant.is_multiple_of(2)).then_some(&zone),
        collector: (variant & 2 == 0).then_some("C-1"),
        ..context(topic)
    })
}

/// A Wireless M-Bus telegram, with and without the sender's key, to a receiver that may have heard
/// the seeds before.
fn wmbus(input: &[u8], variant: u64) -> bool {
    let key = "12345678 000102030405060708090A0B0C0D0E0F";
    let keys = if variant.is_multiple_of(2) { Keys::parse(key).unwrap() } else { Keys::default() };
    let mut receiver = Receiver::new(Arc::new(keys));
    if variant & 2 == 0 {
        drop(receiver.decode(&context("wmbus"), seeds::WMBUS[1]));
    }
    looked_at(receiver.decode(&context("wmbus"), input))
}

/// What a decoder knows of a message on `topic` that arrived on the day of the seeds.
pub(crate) fn context(topic: &str) -> DecodeContext<'_> {
    DecodeContext {
        topic,
        received_at: UtcTime::from_seconds(1_795_255_205),
        zone: None,
        collector: None,
        mapping: None,
        options: &DecodeOptions::DEFAULT,
    }
}

pub(crate) fn judged(context: &DecodeContext<'_>, format: Format, input: &[u8]) -> bool {
    looked_at(decode(format, context, input))
}

fn looked_at(outcome: Result<Vec<DeviceReport>, Rejected>) -> bool {
    match outcome {
        Err(refused) => {
            assert!(!refused.reason.label().is_empty() && refused.detail.len() <= 1_300);
            false
        }
        Ok(reports) => {
            for report in &reports {
                assert!(report.reads() <= 4_000 * 64 + 2_000);
                assert!(report.source_id.as_str().len() <= 96);
                assert!(!report.raw_status.contains(char::is_control));
                assert!(report.events.iter().all(|e| !e.detail.contains(char::is_control)));
                assert!(!format!("{}", report.heard_at.at).is_empty());
            }
            true
        }
    }
}
