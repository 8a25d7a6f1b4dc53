//! Any bytes give a report or a reason, never a panic. A seeded mutator bends good messages; the
//! round count is small here and raised by `PROTOCOLS_FUZZ_ROUNDS` at compile time for long runs.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::{DecodeContext, Format, decode};

const SEED: u64 = 0x5EED_0001;

const SAMPLES: [(Format, &str); 12] = [
    (
        Format::Bundle,
        r#"{"v":1,"meter":"E-1","collector":"C-1","sent":"2026-11-21T10:00:03Z","rssi":-81,"battery_mv":3610,"status":["battery_low","x"],"series":[{"field":"energy_import","unit":"Wh","len":900,"end":"2026-11-21T08:15:00Z","exp":-2,"values":[120,118,null],"flags":[0,0,16]}],"registers":[{"field":"energy_import","unit":"kWh","at":"2026-11-21T08:00:00+01:00","value":"12345.678"}],"instants":[{"field":"voltage","unit":"V","at":"2026-11-21T08:00:00Z","value":230.1}],"events":[{"code":"tamper","at":"2026-11-21T08:00:00Z","seq":4,"detail":"\u0041"}]}"#,
    ),
    (Format::Bundle, r#"[{"v":1,"collector":"C-01","heartbeat":"2026-11-21T10:00:00Z"}]"#),
    (
        Format::Bundle,
        "v1,meter,field,kind,unit,time,len,value,flags\nC-3,W-1,volume,interval,L,2026-11-21T08:15:00Z,900,12,\nC-3,W-1,volume,interval,L,2026-11-21T08:30:00Z,900,1e3,16\n,W-2,volume,register,m3,2026-11-21T08:45:00Z,,17.250,\n",
    ),
    (
        Format::Rtlamr,
        r#"{"Time":"2026-11-21T10:00:02.1-05:00","Offset":0,"Length":0,"Type":"SCM","Message":{"ID":17,"Type":12,"TamperPhy":3,"TamperEnc":2,"Consumption":1978226,"ChecksumVal":1}}"#,
    ),
    (
        Format::Rtlamr,
        r#"{"Time":"2026-11-21T10:00:02Z","Type":"IDM","Message":{"ERTType":7,"ERTSerialNumber":17,"ConsumptionIntervalCount":76,"TamperCounters":"AwIAcw4A","PowerOutageFlags":"AAAAAAAA","LastConsumptionCount":1978208,"DifferentialConsumptionIntervals":[26,27,511,0],"TransmitTimeOffset":3911}}"#,
    ),
    (
        Format::Rtlamr,
        r#"{"Time":"2026-11-21T10:00:02Z","Type":"R900","Message":{"ID":1111111111,"Unkn1":163,"NoUse":34,"BackFlow":1,"Consumption":11184810,"Unkn3":0,"Leak":2,"LeakNow":3}}"#,
    ),
    (
        Format::Rtlamr,
        r#"{"Time":"2026-11-21T10:00:02Z","Type":"NetIDM","Message":{"ERTSerialNumber":17,"LastGeneration":125,"LastConsumption":0,"LastConsumptionNet":2223120656,"DifferentialConsumptionIntervals":[7695,16383],"TransmitTimeOffset":2145}}"#,
    ),
    (
        Format::Rtl433,
        r#"{"time":"2026-10-25 02:30:00","model":"SCMplus","id":17,"ProtocolID":"0x1E","EndpointType":"0x9C","EndpointID":17,"Consumption":406934,"Tamper":"0x0500","mic":"CRC"}"#,
    ),
    (
        Format::Rtl433,
        r#"{"time":"1795255202.5","model":"Neptune-R900","id":5,"nouse":0,"consumption":4555831,"leak":1}"#,
    ),
    (
        Format::Rtl433,
        r#"{"time":"@0.002s","model":"Badger-ORION","id":69,"flags_1":0,"volume_gal":69,"mic":"CRC"}"#,
    ),
    (
        Format::Wmbusmeters,
        r#"{"_":"telegram","meter":"kamwater","id":"00123456","total_m3":12.345,"target_m3":10.5,"target_date":"2026-10-31","flow_temperature_c":127,"April_total_m3":9.1,"battery_v":3.05,"status":"DRY LEAKING PINK","timestamp":"2026-11-21T10:00:01Z"}"#,
    ),
    (
        Format::Wmbusmeters,
        r#"{"id":77,"total_kwh":-1.5e-3,"x_l":null,"device_datetime":"2036-01-01 00:00","timestamp":"1111-11-11T11:11:11Z"}"#,
    ),
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn rounds() -> u32 {
    option_env!("PROTOCOLS_FUZZ_ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn bend(random: &mut Random, bytes: &mut Vec<u8>) {
    const TOKENS: [&[u8]; 16] = [
        b"null",
        b"-1",
        b"1e400",
        b"\"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"\\u0000",
        b"NaN",
        b"99999999999999999999",
        b"\xff",
        b"0",
        b"true",
        b"\"9999-12-31T23:59:59Z\"",
    ];
    let at = random.below(bytes.len());
    let len = random.below(12).min(bytes.len() - at);
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..at + len)),
        3 => {
            let piece = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        4 => drop(bytes.splice(at..at + len, TOKENS[random.below(16)].iter().copied())),
        _ => {
            // One number becomes another.
            if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                bytes[at + digit] = b'0' + u8::try_from(random.below(10)).unwrap();
            }
        }
    }
}

/// Decodes and looks at everything that a reader of the report would.
fn survives(format: Format, context: &DecodeContext<'_>, payload: &[u8]) -> bool {
    match decode(format, context, payload) {
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
                let _ = format!("{report:?} {}", report.heard_at.at);
            }
            true
        }
    }
}

#[test]
fn bent_messages_give_a_report_or_a_reason() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let mut random = Random(SEED);
    let (mut taken, mut refused) = (0_u32, 0_u32);
    for round in 0..rounds() {
        let (format, sample) = SAMPLES[random.below(SAMPLES.len())];
        let context = DecodeContext {
            topic: "rtl_433/pi/events",
            received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
            zone: (round % 2 == 0).then_some(&zone),
            collector: Some("C-1"),
            mapping: None,
        };
        let mut bytes = sample.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            if !bytes.is_empty() {
                bend(&mut random, &mut bytes);
            }
        }
        if survives(format, &context, &bytes) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    println!("seed {SEED:#x}: {taken} taken, {refused} refused");
    assert!(taken > rounds() / 10 && refused > rounds() / 10, "{taken} {refused}");
}

#[test]
fn noise_gives_a_reason() {
    let mut random = Random(SEED + 1);
    for format in [Format::Bundle, Format::Rtlamr, Format::Rtl433, Format::Wmbusmeters] {
        for _ in 0..rounds() / 20 {
            let len = random.below(300);
            let noise: Vec<u8> =
                (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            let context = DecodeContext {
                topic: "t",
                received_at: UtcTime::from_seconds(1_800_000_000),
                zone: None,
                collector: None,
                mapping: None,
            };
            assert!(!survives(format, &context, &noise));
        }
    }
}

/// The samples themselves are good, or the mutations would prove little.
#[test]
fn samples_are_accepted() {
    let zone = TimeZone::UTC;
    for (format, sample) in SAMPLES {
        let context = DecodeContext {
            topic: "t",
            received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
            zone: Some(&zone),
            collector: None,
            mapping: None,
        };
        assert!(survives(format, &context, sample.as_bytes()), "{sample}");
    }
}
