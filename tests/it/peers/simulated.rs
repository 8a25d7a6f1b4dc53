//! Every format through Debian's broker into the built program: each kind of `headend simulate`
//! publishes with its faults, and what is stored is compared with what it says that it metered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use metering::UtcTime;
use protocols::files::FileFormat;

use crate::kit::Random;
use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{find, has_postgres};
use crate::kit::skip::skip;

const STORED_LIMIT: Duration = Duration::from_secs(120);

/// How the truth of a kind is written, and how much of it must be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    /// `meter,field,at,value`: each reading that was sent. All of them, and no other.
    Readings,
    /// A JSON line each: device, time, counter, and whether it was sent.
    Edge(&'static str),
    /// `source,end,used,counter`: each slot of the meters. Whatever was heard stands in it.
    Slots,
}

/// Kind, filter, what else the subscription says, meters, hours, truth.
type Row = (&'static str, &'static str, &'static str, u32, u32, Truth);

const KINDS: [Row; 10] = [
    ("tasmota", "tele/+/SENSOR", "zone = \"Europe/Berlin\"", 3, 8, Truth::Readings),
    ("shelly", "+/events/rpc", "", 2, 4, Truth::Readings),
    ("amsreader", "ams/+/list3", "", 12, 24, Truth::Readings),
    ("p1", "dsmr/+/raw", "", 2, 4, Truth::Readings),
    (
        "chirpstack",
        "application/+/device/+/event/+",
        "mapping = \"codec.toml\"",
        12,
        24,
        Truth::Readings,
    ),
    ("the_things", "v3/+/devices/+/up", "mapping = \"codec.toml\"", 12, 24, Truth::Readings),
    ("json", "workshop/+/state", "mapping = \"workshop.toml\"", 10, 24, Truth::Edge("total")),
    ("sparkplug", "spBv1.0/Sim/#", "", 25, 24, Truth::Edge("Energy/Import")),
    ("amr", "amr/+/rtlamr", "collector_level = 2", 10, 3, Truth::Slots),
    ("wmbus", "wmbus/+/raw", "collector_level = 2", 10, 3, Truth::Slots),
];

/// The decoded object of the simulated water meters, and the payload that `docs/mapping.md` begins
/// with.
const CODEC: &str = "[mapping]\nname = \"codec\"\nformat = \"object\"\n[[channel]]\n\
    field = \"volume\"\npath = \"/volume_l\"\nunit = \"L\"\nkind = \"cumulative\"\n";

/// The first description of the document.
fn documented() -> &'static str {
    let document = include_str!("../../../docs/mapping.md");
    let from = document.find("```toml\n").unwrap() + 8;
    &document[from..from + document[from..].find("```").unwrap()]
}

fn configure(head_end: &HeadEnd) {
    let place = head_end.path();
    std::fs::write(place.join("codec.toml"), CODEC).unwrap();
    std::fs::write(place.join("workshop.toml"), documented()).unwrap();
    let keys = place.join("wmbus.keys");
    let mut text = std::fs::read_to_string(place.join("headend.toml")).unwrap();
    writeln!(text, "[ingest]\nwmbus_keys_file = \"{}\"", keys.display()).unwrap();
    for (kind, filter, more, ..) in KINDS {
        let format = match kind {
            "json" => "mapping",
            "amr" => "rtlamr",
            other => other,
        };
        let table = "[[mqtt.subscriptions]]";
        writeln!(text, "{table}\nfilter = \"{filter}\"\nformat = \"{format}\"\n{more}").unwrap();
    }
    std::fs::write(place.join("headend.toml"), text).unwrap();
}

/// Runs a simulator to its end; how many messages it published.
fn simulate(head_end: &HeadEnd, (kind, _, _, meters, hours, _): Row, port: u16, seed: u64) -> i64 {
    let (meters, hours, seed) = (meters.to_string(), hours.to_string(), seed.to_string());
    let (broker, file) = (format!("127.0.0.1:{port}"), |end: &str| format!("{kind}.{end}"));
    let args =
        ["simulate", "--kind", kind, "--broker", &broker, "--meters", &meters, "--hours", &hours];
    let files = ["--provision-out", &file("csv"), "--truth", &file("truth"), "--seed", &seed];
    let ended = head_end.run(&[&args[..], &files].concat());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{kind}: {said}");
    let sent = said.split("published ").nth(1).and_then(|rest| rest.split(' ').next());
    sent.unwrap_or_else(|| panic!("{kind}: {said}")).parse().unwrap()
}

fn seconds(text: &str) -> i64 {
    UtcTime::parse_rfc3339(text).unwrap_or_else(|| panic!("{text}")).seconds()
}

/// (meter or source, field, seconds) and the count that must stand there.
type Counts = BTreeMap<(String, String, i64), i64>;

fn readings(text: &str) -> Counts {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [meter, field, at, value] = cells[..] else { panic!("{line}") };
        ((meter.to_owned(), field.to_owned(), seconds(at)), value.parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

fn edge(text: &str, field: &str) -> Counts {
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let row = |row: serde_json::Value| {
        let meter = row["device"].as_str().unwrap().replace('/', "-");
        let at = seconds(row["at"].as_str().unwrap());
        ((meter, field.to_owned(), at), row["wh"].as_i64().unwrap())
    };
    rows.filter(|row| row["sent"] == true).map(row).collect()
}

struct Plant {
    head_end: HeadEnd,
    broker: Mosquitto,
    stored: Stored,
}

impl Plant {
    /// The registers of a kind's meters, as `Counts`.
    async fn registers(&self, sql: &str) -> Counts {
        let rows = self.stored.client().query(sql, &[]).await.unwrap();
        rows.iter().map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3))).collect()
    }

    async fn wait(&self, sent: i64) {
        let sql = "SELECT coalesce(sum(messages), 0)::int8 FROM ingest_batch";
        let all = async {
            while self.stored.number(sql).await < sent {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(STORED_LIMIT, all).await;
        let have = self.stored.number(sql).await;
        assert!(done.is_ok(), "{have} of {sent} came: {}", self.head_end.log_tail());
    }

    async fn compare(&self, (kind, .., truth): Row) {
        let text = std::fs::read_to_string(self.head_end.path().join(format!("{kind}.truth")));
        let text = text.unwrap();
        let want = match truth {
            Truth::Readings => readings(&text),
            Truth::Edge(field) => edge(&text, field),
            Truth::Slots => return self.slots(kind, &text).await,
        };
        assert!(want.len() >= 200, "{kind}: only {} readings were sent", want.len());
        let have = self
            .registers(
                "SELECT m.number, c.field,
                   extract(epoch FROM date_trunc('second', r.read_at))::int8, r.raw FROM register_read r JOIN meter m USING (meter_id)
                 JOIN meter_channel c USING (meter_id, channel)",
            )
            .await;
        let differing: Vec<_> =
            want.iter().filter(|(key, raw)| have.get(*key) != Some(*raw)).collect();
        let first = differing.first().map(|(key, raw)| (key, raw, have.get(*key)));
        assert!(differing.is_empty(), "{kind}: {} of {}: {first:?}", differing.len(), want.len());
        let meters: std::collections::BTreeSet<&String> = want.keys().map(|key| &key.0).collect();
        let more = have.keys().filter(|key| meters.contains(&key.0) && !want.contains_key(*key));
        let births = if kind == "sparkplug" { want.len() } else { 0 };
        assert!(more.count() <= births, "{kind}: readings that nobody sent");
        println!("{kind}: {} readings stored as metered", want.len());
    }

    /// What meters that are heard told: the dial at some slot's end, and what was used in slots.
    async fn slots(&self, kind: &str, text: &str) {
        let mut slots: BTreeMap<(String, i64), i64> = BTreeMap::new();
        let mut counters: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let [source, end, used, counter] = cells[..] else { panic!("{line}") };
            slots.insert((source.to_owned(), seconds(end)), used.parse().unwrap());
            counters.entry(source.to_owned()).or_default().push(counter.parse().unwrap());
        }
        let of_source = "JOIN meter_source s USING (meter_id)";
        let family =
            if kind == "amr" { "s.source_id !~ '^wmbus:'" } else { "s.source_id ~ '^wmbus:'" };
        let sql = format!(
            "SELECT s.source_id, c.field, (extract(epoch FROM r.read_at) * 1000000)::int8, r.raw
             FROM register_read r {of_source} JOIN meter_channel c USING (meter_id, channel)
             WHERE {family} AND c.field ~ '^(consumption|total_)'"
        );
        let registers = self.registers(&sql).await;
        let mut dials = 0;
        for ((source, _, at), raw) in &registers {
            if let Some(counters) = counters.get(source) {
                assert!(counters.contains(raw), "{source}: {raw} at {at} was never on its dial");
                dials += 1;
            }
        }
        let heard = counters.keys().filter(|s| registers.keys().any(|key| key.0 == **s)).count();
        assert_eq!(heard, counters.len(), "{kind}: meters that nobody heard");
        // Those that it told, not those that follow from its registers.
        let sql = format!(
            "SELECT s.source_id, c.field, extract(epoch FROM r.starts_at)::int8 + c.len_s, r.value
             FROM read_interval r {of_source} JOIN meter_channel c USING (meter_id, channel)
             WHERE {family} AND c.field ~ '^interval'"
        );
        let intervals = self.registers(&sql).await;
        let (mut wrong, mut known) = (Vec::new(), 0);
        for ((source, _, end), milli) in &intervals {
            let Some(used) = slots.get(&(source.clone(), *end)) else { continue };
            known += 1;
            // Hundredths of a kilowatt-hour, in thousandths of a watt-hour.
            if *milli != used * 10_000 {
                wrong.push((source, end, milli, used));
            }
        }
        let first = &wrong[..wrong.len().min(12)];
        assert!(wrong.is_empty(), "{kind}: {} of {known} slots differ: {first:?}", wrong.len());
        // Telegrams of Wireless M-Bus tell dials alone.
        let least = if kind == "wmbus" { 0 } else { 100 };
        assert!(known >= least, "{kind}: only {known} slots");
        assert!(dials >= 20 * counters.len(), "{kind}: only {dials} dials");
        println!("{kind}: {dials} dials and {known} slots as metered");
    }
}

fn rebirths(port: u16) -> Child {
    Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-C", "1", "-W", "60", "-F", "%t"])
        .args(["-t", "spBv1.0/Sim/NCMD/#"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn what_simulated_devices_publish_is_stored_as_they_metered() {
    let test = "what_simulated_devices_publish_is_stored_as_they_metered";
    if !has_postgres(test) || find("mosquitto_sub").is_none() {
        return skip(test, "PostgreSQL or mosquitto-clients are not installed");
    }
    // One where nobody listens: who they are is known before they are heard.
    let Some(deaf) = Mosquitto::start(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let seed = Random::new(test).below(10_000);
    let mut head_end = HeadEnd::new(&Settings::bundles(broker.port));
    for row in KINDS {
        simulate(&head_end, row, deaf.port, seed);
    }
    configure(&head_end);
    head_end.start();
    head_end.wait_ready();
    for (kind, ..) in KINDS {
        head_end.provision(&read(head_end.path(), &format!("{kind}.csv")));
    }
    let stored = Stored::open(&head_end.data()).await;
    let listening = rebirths(broker.port);
    let mut plant = Plant { head_end, broker, stored };
    let mut sent = 0;
    for row in KINDS {
        sent += simulate(&plant.head_end, row, plant.broker.port, seed);
        plant.wait(sent).await;
    }
    for row in KINDS {
        plant.compare(row).await;
    }
    // Lost messages leave holes, so a node is asked for its birth.
    let asked = listening.wait_with_output().unwrap();
    let asked = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.starts_with("spBv1.0/Sim/NCMD/Edge-"), "{asked:?}");
    plant.head_end.stop();
}

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// `headend bench protocols` at its shortest: every format has messages that its decoder takes.
#[test]
fn every_decoder_is_measured() {
    let figures = headend::bench::decoders::figures(Duration::from_millis(2)).unwrap();
    let files = FileFormat::ALL.map(|format| format.to_string());
    let messages = protocols::Format::all().map(|(_, format)| format.to_owned());
    for format in messages.into_iter().chain(files) {
        let one = figures.iter().find(|one| one.decoder == format);
        let one = one.unwrap_or_else(|| panic!("{format} is not measured"));
        assert!(one.messages_per_s_per_core > 0.0 && one.bytes_mean > 0, "{one:?}");
        let registers = one.values_per_s_per_core / one.messages_per_s_per_core;
        assert!(format != "modbus" || (registers - 100.0).abs() < 0.01, "{one:?}");
    }
}
