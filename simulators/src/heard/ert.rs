//! ERT and R900 telegrams as rtlamr prints them.

use super::{Content, Shouter, Telegram};

/// Kinds of meters, taken in turn.
const SCM: u32 = 0;
const SCM_PLUS: u32 = 1;
const IDM: u32 = 2;
const R900: u32 = 3;
const KINDS: u32 = 5;

/// Slots in an interval message.
const SLOTS: usize = 47;
/// The meter had this many slots before the fleet began.
const SLOTS_BEFORE: usize = 200;

/// `after_s`: since the newest slot ended.
pub(super) fn telegram(meter: &Shouter, after_s: i64) -> Telegram {
    let (id, counter) = (meter.number, meter.counter);
    match meter.kind % KINDS {
        SCM => of(
            "SCM",
            format!(
                r#""ID":{id},"Type":12,"TamperPhy":0,"TamperEnc":1,"Consumption":{},"ChecksumVal":1"#,
                counter & 0xFF_FFFF
            ),
            1,
        ),
        SCM_PLUS => of(
            "SCM+",
            format!(
                r#""FrameSync":5795,"ProtocolID":30,"EndpointType":171,"EndpointID":{id},"Consumption":{counter},"Tamper":0,"PacketCRC":1"#
            ),
            1,
        ),
        IDM => {
            let deltas = newest_first(meter, SLOTS);
            of("IDM", long(meter, after_s, "LastConsumptionCount", &deltas), 1 + 47)
        }
        R900 => of(
            "R900",
            format!(
                r#""ID":{id},"Unkn1":163,"NoUse":0,"BackFlow":0,"Consumption":{},"Unkn3":0,"Leak":0,"LeakNow":0"#,
                counter & 0xFF_FFFF
            ),
            1,
        ),
        _ => {
            let deltas = newest_first(meter, 27);
            of("NetIDM", long(meter, after_s, "LastConsumptionNet", &deltas), 1 + 27)
        }
    }
}

fn of(kind: &'static str, message: String, reads: u32) -> Telegram {
    Telegram { content: Content::Ert { kind, message }, reads }
}

fn long(meter: &Shouter, after_s: i64, counter: &str, deltas: &str) -> String {
    let count = (SLOTS_BEFORE + meter.slots.len()) % 256;
    format!(
        r#""ERTType":7,"ERTSerialNumber":{},"ConsumptionIntervalCount":{count},"TamperCounters":"AwIAcw4A","PowerOutageFlags":"AAAAAAAA","{counter}":{},"DifferentialConsumptionIntervals":[{deltas}],"TransmitTimeOffset":{}"#,
        meter.number,
        meter.counter,
        after_s * 16
    )
}

/// Slots before the fleet began had no use.
fn newest_first(meter: &Shouter, slots: usize) -> String {
    let used = meter.slots.iter().rev().copied().chain(std::iter::repeat(0));
    used.take(slots).map(|used| used.to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn source(meter: &Shouter) -> String {
    let family = if meter.kind % KINDS == R900 { "r900" } else { "ert" };
    format!("{family}:{}", meter.number)
}

/// Commodity and the rest of each provisioning row.
pub(super) fn rows(meter: &Shouter) -> Vec<(&'static str, &'static str)> {
    match meter.kind % KINDS {
        IDM => vec![
            ("electricity", "consumption,energy_active_import,register,kWh,0.01,0,4294967296,15m"),
            ("", "interval,energy_active_import,interval,kWh,0.01,,,5m"),
        ],
        SCM_PLUS => vec![("gas", "consumption,volume,register,ft3,1,0,4294967296,1h")],
        SCM | R900 => vec![("water", "consumption,volume,register,gal,0.1,0,16777216,1h")],
        _ => vec![
            ("electricity", "consumption_net,energy_active,register,kWh,0.01,0,4294967296,15m"),
            ("", "interval_net,energy_active,interval,kWh,0.01,,,5m"),
        ],
    }
}
