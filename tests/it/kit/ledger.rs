//! The ground truth: each reading that was sent, in a file that is on disk before it is sent.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use metering::UtcTime;

/// Readings of one message.
pub(crate) const SLOTS: i64 = 24;
pub(crate) const SLOT_S: i64 = 900;
/// All series begin here.
const BEGIN: &str = "2026-06-01T00:00:00Z";

/// Meters in the order of their numbers: message n is of meter n % count and goes on where that
/// meter's last one ended.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    path: PathBuf,
    meters: u64,
    messages: u64,
}

/// What the ledger says must be stored.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) numbers: Vec<String>,
    pub(crate) starts_s: Vec<i64>,
    pub(crate) values: Vec<i64>,
}

impl Ledger {
    pub(crate) fn create(directory: &Path, meters: u64) -> Self {
        let path = directory.join("ledger.csv");
        Self { file: File::create(&path).unwrap(), path, meters, messages: 0 }
    }

    /// The `meters provision` file of all meters.
    pub(crate) fn provisioning(&self) -> String {
        let mut csv = "meter,commodity,field,reading_type,kind,unit,interval\n".to_owned();
        for meter in 0..self.meters {
            let name = name(meter);
            csv += &format!("{name},electricity,energy,energy_active_import,interval,Wh,15m\n");
        }
        csv
    }

    /// The next messages, as topic and payload of at least `bytes_min`; their lines are written
    /// before this returns.
    pub(crate) fn next(&mut self, count: u64, bytes_min: usize) -> Vec<(String, Vec<u8>)> {
        let mut lines = String::new();
        let messages = (self.messages..self.messages + count)
            .map(|number| {
                let (meter, block) = (number % self.meters, number / self.meters);
                let first = i64::try_from(block).unwrap() * SLOTS;
                let values: Vec<String> =
                    (first..first + SLOTS).map(|slot| value(meter, slot).to_string()).collect();
                let start_s = start_s(first);
                lines += &format!("{},{start_s},{}\n", name(meter), values.join(" "));
                let end = UtcTime::from_seconds(start_s + SLOT_S);
                let payload = format!(
                    "{{\"v\":1,\"meter\":\"{0}\",\"series\":[{{\"field\":\"energy\",\
                     \"unit\":\"Wh\",\"len\":{SLOT_S},\"end\":\"{end}\",\"values\":[{1}]}}]{2}}}",
                    name(meter),
                    values.join(","),
                    // Blanks between tokens mean nothing in JSON.
                    " ".repeat(bytes_min.saturating_sub(150)),
                );
                (format!("ami/up/{}", name(meter)), payload.into_bytes())
            })
            .collect();
        self.file.write_all(lines.as_bytes()).unwrap();
        self.file.sync_data().unwrap();
        self.messages += count;
        messages
    }

    pub(crate) const fn readings(&self) -> i64 {
        self.messages.cast_signed() * SLOTS
    }

    /// Reads the file back.
    pub(crate) fn expected(&self) -> Expected {
        let text = std::fs::read_to_string(&self.path).unwrap();
        let mut expected = Expected::default();
        for line in text.lines() {
            let mut columns = line.split(',');
            let number = columns.next().unwrap();
            let start_s: i64 = columns.next().unwrap().parse().unwrap();
            let values = columns.next().unwrap().split(' ');
            for (slot, value) in (0_i64..).zip(values) {
                expected.numbers.push(number.to_owned());
                expected.starts_s.push(start_s + slot * SLOT_S);
                // Sent in Wh, stored in mWh.
                expected.values.push(value.parse::<i64>().unwrap() * 1_000);
            }
        }
        expected
    }
}

fn name(meter: u64) -> String {
    format!("T-{meter:04}")
}

fn start_s(slot: i64) -> i64 {
    UtcTime::parse_rfc3339(BEGIN).unwrap().seconds() + slot * SLOT_S
}

/// Differs between neighbours in either direction.
fn value(meter: u64, slot: i64) -> u64 {
    (meter * 7_919 + u64::try_from(slot).unwrap() * 104_729) % 997
}
