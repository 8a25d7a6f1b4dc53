//! Sparkplug B by another implementation: encoded by the npm package `sparkplug-payload`, published
//! by mosquitto's own sender.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{find, has_postgres, wait_for};
use crate::kit::skip::skip;

const METERS: &str = "\
meter,source,commodity,field,reading_type,kind,unit,multiplier,decimals,interval,collector
E-1,sparkplug:Plant/Edge-1/M-1,electricity,Meter/Energy/Import,energy_active_import,register,kWh,1,3,15m,Plant.Edge-1
";
const LIMIT: Duration = Duration::from_secs(20);

/// The foreign encoder, installed by `tests/run`.
struct Encoder {
    modules: PathBuf,
    directory: PathBuf,
}

impl Encoder {
    fn find(test: &str, directory: &Path) -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
        let modules = target.join("peers/node_modules");
        if find("node").is_none() || !modules.join("sparkplug-payload").is_dir() {
            skip(test, "node or npm sparkplug-payload is not installed");
            return None;
        }
        Some(Self { modules, directory: directory.to_owned() })
    }

    fn node(&self, args: &[&str], file: &Path) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peers/sparkplug.js");
        let mut command = Command::new("node");
        command.arg(script).args(args).arg(file).env("NODE_PATH", &self.modules);
        command
    }

    fn encode(&self, payload: &Value) -> PathBuf {
        let file = self.directory.join("payload.bin");
        let mut command = self.node(&["encode"], &file);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(payload.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "sparkplug-payload refuses {payload}");
        file
    }

    fn decode(&self, bytes: &[u8]) -> Value {
        let file = self.directory.join("command.bin");
        std::fs::write(&file, bytes).unwrap();
        let done = self.node(&["decode"], &file).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

struct Plant {
    head_end: HeadEnd,
    broker: Mosquitto,
    encoder: Encoder,
}

impl Plant {
    fn start(test: &str) -> Option<Self> {
        if !has_postgres(test) || find("mosquitto_sub").is_none() {
            skip(test, "PostgreSQL or mosquitto-clients are not installed");
            return None;
        }
        let broker = Mosquitto::start(test)?;
        let settings = Settings {
            subscriptions: vec![("spBv1.0/#", "sparkplug", 0)],
            ..Settings::bundles(broker.port)
        };
        let mut head_end = HeadEnd::new(&settings);
        let encoder = Encoder::find(test, head_end.path())?;
        head_end.provision(METERS);
        head_end.start();
        head_end.wait_ready();
        Some(Self { head_end, broker, encoder })
    }

    fn publish(&self, topic: &str, payload: &Value) {
        let file = self.encoder.encode(payload);
        let sent = Command::new("mosquitto_pub")
            .args(["-p", &self.broker.port.to_string(), "-q", "1", "-V", "5", "-t", topic, "-f"])
            .arg(file)
            .status();
        assert!(sent.unwrap().success(), "{topic}");
    }

    /// Hears the next command of the head-end to the node.
    fn listen(&self) -> std::process::Child {
        Command::new("mosquitto_sub")
            .args(["-p", &self.broker.port.to_string(), "-V", "5", "-C", "1", "-N", "-W", "20"])
            .args(["-t", "spBv1.0/Plant/NCMD/#"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn data(seq: u64, at_ms: u64, kwh: f64) -> Value {
    json!({ "timestamp": at_ms, "seq": seq, "metrics":
        [{ "alias": 7, "timestamp": at_ms, "type": "Double", "value": kwh }] })
}

#[tokio::test]
async fn sparkplug_of_another_implementation_is_stored_once_its_birth_came() {
    let test = "sparkplug_of_another_implementation_is_stored_once_its_birth_came";
    let Some(mut plant) = Plant::start(test) else { return };
    let stored = Stored::open(&plant.head_end.data()).await;
    let number = async |sql: &str| stored.number(sql).await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now_ms = u64::try_from(now.as_millis()).unwrap() / 1_000 * 1_000;
    // Drawn anew in each run.
    let start = f64::from(u16::try_from(now_ms / 1_000 % 60_000).unwrap()) + 0.125;

    // Data of a node that nobody has heard: kept, and its birth is asked for.
    let listening = plant.listen();
    wait_for(Duration::from_secs(1), || false);
    plant.publish("spBv1.0/Plant/DDATA/Edge-1/M-1", &data(9, now_ms - 60_000, start));
    let command = listening.wait_with_output().unwrap();
    let command = plant.encoder.decode(&command.stdout);
    assert_eq!(command["metrics"][0]["name"], "Node Control/Rebirth", "{command}");
    assert_eq!(command["metrics"][0]["value"], true, "{command}");
    let letters =
        "SELECT count(*) FROM dead_letter WHERE reason = 'no_birth' AND replayed_at IS NULL";
    assert_eq!(number(letters).await, 1);

    plant.publish(
        "spBv1.0/Plant/NBIRTH/Edge-1",
        &json!({ "timestamp": now_ms - 50_000, "seq": 0, "metrics": [
            { "name": "bdSeq", "type": "UInt64", "value": 4 },
            { "name": "Node Control/Rebirth", "type": "Boolean", "value": false }] }),
    );
    plant.publish(
        "spBv1.0/Plant/DBIRTH/Edge-1/M-1",
        &json!({ "timestamp": now_ms - 50_000, "seq": 1, "metrics": [
            { "name": "Meter/Energy/Import", "alias": 7, "type": "Double", "value": start + 1.0 },
            { "name": "Meter/Serial", "alias": 8, "type": "String", "value": "SN-1" }] }),
    );
    plant.publish("spBv1.0/Plant/DDATA/Edge-1/M-1", &data(2, now_ms - 40_000, start + 2.0));
    let mut past = data(3, now_ms - 30_000, start + 0.5);
    past["metrics"][0]["timestamp"] = json!(now_ms - 55_000);
    past["metrics"][0]["isHistorical"] = json!(true);
    plant.publish("spBv1.0/Plant/DDATA/Edge-1/M-1", &past);
    let mut null = data(4, now_ms - 20_000, 0.0);
    null["metrics"][0]["isNull"] = json!(true);
    null["metrics"][0]["value"] = Value::Null;
    plant.publish("spBv1.0/Plant/DDATA/Edge-1/M-1", &null);

    let mut seen = -1;
    let mut tries = 0;
    while seen != 4 && tries < 200 {
        seen = number("SELECT count(*) FROM register_read").await;
        tries += 1;
        tokio::time::sleep(LIMIT / 200).await;
    }
    assert_eq!(seen, 4, "{}", plant.head_end.log_tail());
    for (at_ms, kwh) in [
        (now_ms - 60_000, start),
        (now_ms - 55_000, start + 0.5),
        (now_ms - 50_000, start + 1.0),
        (now_ms - 40_000, start + 2.0),
    ] {
        let sql = format!(
            "SELECT count(*) FROM register_read WHERE read_at = to_timestamp({}) AND raw = {}",
            at_ms / 1_000,
            (kwh * 1_000.0).round()
        );
        assert_eq!(number(&sql).await, 1, "{kwh} at {at_ms}");
    }
    assert_eq!(number(letters).await, 0, "the quarantined message was told again");
    plant.head_end.stop();
}
