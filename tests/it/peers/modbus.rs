//! T26: a Modbus meter made with pymodbus, with late, lost and swapped answers, asked by the real
//! driver; and mbpoll against the simulated bus. Values are drawn at run time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use protocols::modbus::driver::{Place, PollClock, Poller};
use protocols::modbus::frame::Framing;
use protocols::modbus::{BEAT_S, GatewaySettings, PollRecord, Profile, UnitSettings};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{Program, find, has_postgres, wait_for};
use crate::kit::skip::skip;
use crate::kit::temp::{TempDir, free_port};
use crate::kit::{Random, setting};

/// Simulated seconds in a real one, so that schedules and back-offs take no time.
const SPEED: i64 = 100;
const TIMEOUT_MS: u32 = 150;
const LISTEN_LIMIT: Duration = Duration::from_secs(20);

/// A meter by pymodbus, in a process of its own.
pub(super) struct Peer {
    pub(super) program: Program,
    port: u16,
    directory: TempDir,
}

/// Floats by unit and register.
pub(super) type Values = BTreeMap<u8, BTreeMap<u16, f32>>;

/// Where tests/run puts what comes from PyPI.
fn python() -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_headend"));
    let target = program.parent().and_then(Path::parent)?;
    let python = target.join("peers/venv/bin/python");
    let there = Command::new(&python).args(["-c", "import pymodbus"]).output();
    there.is_ok_and(|run| run.status.success()).then_some(python)
}

impl Peer {
    fn start(test: &str, framing: &str, values: &Values, faults: [u32; 3]) -> Option<Self> {
        let [late, drop, swap] = faults;
        let case = json!({"framing": framing, "units": values,
            "late_every": late, "late_s": 3.0 * f64::from(TIMEOUT_MS) / 1_000.0,
            "drop_every": drop, "swap_every": swap});
        Self::start_case(test, case, "listening ")
    }

    /// The meter on a serial line, and the line's name.
    pub(super) fn on_a_line(test: &str, values: &Values, drop: u32) -> Option<(Self, String)> {
        let case = json!({"framing": "rtu", "units": values, "drop_every": drop, "line": true});
        let peer = Self::start_case(test, case, "line ")?;
        let log = peer.program.log();
        let line = log.lines().find_map(|told| told.strip_prefix("line /"))?;
        Some((peer, format!("/{line}")))
    }

    fn start_case(test: &str, mut case: serde_json::Value, ready: &str) -> Option<Self> {
        let Some(python) = python() else {
            skip(test, "pymodbus is not installed");
            return None;
        };
        let directory = TempDir::new("modbus");
        let port = free_port();
        case["port"] = port.into();
        let file = directory.path().join("case.json");
        std::fs::write(&file, case.to_string()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/modbus_meter.py");
        let log = directory.path().join("peer.log");
        let program = Program::start(Command::new(python).arg(script).arg(&file), &log);
        let peer = Self { program, port, directory };
        let up = wait_for(LISTEN_LIMIT, || peer.program.log().contains(ready));
        assert!(up, "{}", peer.program.log());
        Some(peer)
    }
}

pub(super) fn draw(random: &mut Random, units: u8, registers: &[u16]) -> Values {
    let mut float = || f32::from(u16::try_from(random.below(60_000)).unwrap()) / 8.0 + 1.0;
    (1..=units).map(|unit| (unit, registers.iter().map(|at| (*at, float())).collect())).collect()
}

/// Registers of one length, each read by itself: the worst case for RTU, which numbers nothing.
fn profile(registers: &[u16]) -> Profile {
    let names = registers.iter().zip(1..).map(|(at, n)| {
        format!(
            "[[register]]\nchannel = \"power_active_{n}\"\naddress = {at}\ntype = \"f32\"\n\
             unit = \"W\"\n"
        )
    });
    let check = format!(
        "[[check]]\nrequest = \"04 00 {:02X} 00 02\"\nresponse = \"04 04 3F C0 00 00\"\n\
         expect = \"power_active_1 1.5 W\"\n",
        registers[0]
    );
    let text = format!(
        "name = \"worst\"\nfunction = 4\nmax_read = 2\nmin_request_gap_ms = 0\n{}{check}",
        names.collect::<String>()
    );
    let profile = Profile::parse(&text).unwrap();
    profile.verify().unwrap();
    profile
}

fn settings(framing: Framing, units: u8, profile: Profile) -> GatewaySettings {
    let profile = Arc::new(profile);
    let unit = |unit: u8| UnitSettings {
        unit,
        source: format!("modbus:gw1/{unit}"),
        profile: Arc::clone(&profile),
        every_s: 10,
    };
    GatewaySettings {
        name: "gw1".to_owned(),
        address: "peer".to_owned(),
        framing,
        collector: None,
        beat_s: BEAT_S,
        timeout_ms: Some(TIMEOUT_MS),
        units: (1..=units).map(unit).collect(),
    }
}

fn fast_clock() -> PollClock {
    let started = tokio::time::Instant::now();
    let base = UtcTime::from_seconds(1_800_000_000);
    Arc::new(move || {
        let micros = i64::try_from(started.elapsed().as_micros()).unwrap();
        UtcTime::from_micros(base.micros() + SPEED * micros)
    })
}

/// Values that are not what the meter holds, and how many were looked at.
fn wrong(record: &PollRecord, values: &Values, registers: &[u16]) -> (Vec<String>, u64) {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for value in record.reads.iter().flat_map(|read| &read.values) {
        let n: usize = value.channel.rsplit('_').next().unwrap().parse().unwrap();
        let want = values[&record.unit][&registers[n - 1]];
        let got = value.value.map(|value| value.to_string());
        seen += 1;
        if got != Some(want.to_string()) {
            wrong.push(format!("unit {} {}: {got:?}, not {want}", record.unit, value.channel));
        }
    }
    (wrong, seen)
}

async fn late_lost_and_swapped(test: &str, framing: Framing, word: &str) {
    const REGISTERS: [u16; 4] = [0x0C, 0x34, 0x48, 0x4A];
    let mut random = Random::new(test);
    let values = draw(&mut random, 3, &REGISTERS);
    let Some(peer) = Peer::start(test, word, &values, [97, 149, 113]) else { return };
    let settings = settings(framing, 3, profile(&REGISTERS));
    let place = Place::Tcp { host: "127.0.0.1".to_owned(), port: peer.port };
    let clock = fast_clock();
    let poller = Poller::new(settings, place, clock()).looking_every(Duration::from_millis(5));
    let health = poller.health();
    let (records, mut polled) = mpsc::channel(10);
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(poller.run(clock, records, stopped));
    let polls = setting("HEADEND_T26_POLLS", 2_000) / 2;
    let (mut faults, mut seen) = (Vec::new(), 0);
    for _ in 0..polls {
        let record = polled.recv().await.unwrap();
        let (wrong, looked_at) = wrong(&record, &values, &REGISTERS);
        faults.extend(wrong);
        seen += looked_at;
    }
    stop.send_replace(true);
    task.await.unwrap();
    assert!(
        faults.is_empty(),
        "{} of {seen} values are wrong: {:?}",
        faults.len(),
        &faults[..5.min(faults.len())]
    );
    let counts = health.get().counts;
    println!("{test}: {polls} polls, {seen} values, {counts:?}");
    assert!(seen >= 3 * polls, "only {seen} values in {polls} polls");
    assert!(counts.timeouts > 0 && counts.connections > 1, "no fault was met: {counts:?}");
}

#[tokio::test]
async fn t26_no_wrong_value_over_modbus_tcp() {
    late_lost_and_swapped("t26_no_wrong_value_over_modbus_tcp", Framing::Tcp, "socket").await;
}

#[tokio::test]
async fn t26_no_wrong_value_over_rtu_in_tcp() {
    late_lost_and_swapped("t26_no_wrong_value_over_rtu_in_tcp", Framing::Rtu, "rtu").await;
}

/// The simulated bus in a process of its own; its log names the port.
fn simulate(directory: &TempDir, args: &[&str]) -> (Program, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
    command.args(["modbus", "simulate", "--listen", "127.0.0.1:0", "--seed", "11"]).args(args);
    let program = Program::start(&mut command, &directory.path().join("simulator.log"));
    let up = wait_for(LISTEN_LIMIT, || program.log().contains("listening "));
    assert!(up, "{}", program.log());
    let log = program.log();
    let address = log.split_whitespace().nth(1).unwrap().trim_end_matches(',').to_owned();
    (program, address)
}

fn read_import(address: &str) -> f64 {
    let run = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(["modbus", "read", address, "--unit", "2", "--profile", "eastron-sdm630"])
        .args(["--output", "json"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let rows: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let of = |row: &&serde_json::Value| row["channel"] == "energy_active_import_total";
    rows.as_array().unwrap().iter().find(of).unwrap()["value"].as_f64().unwrap()
}

#[test]
fn mbpoll_reads_the_simulated_bus_as_we_do() {
    let test = "mbpoll_reads_the_simulated_bus_as_we_do";
    let Some(mbpoll) = find("mbpoll") else {
        skip(test, "mbpoll is not installed");
        return;
    };
    let directory = TempDir::new("mbpoll");
    let (_bus, address) = simulate(&directory, &["--units", "3", "--speed", "0"]);
    let ours = read_import(&address);
    let (host, port) = address.trim_start_matches("tcp://").split_once(':').unwrap();
    let run = Command::new(mbpoll)
        .args(["-m", "tcp", "-p", port, "-a", "2", "-t", "3:float", "-B", "-0", "-r", "72"])
        .args(["-c", "1", "-1", host])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let theirs =
        said.lines().find_map(|line| line.trim().strip_prefix("[72]:")).unwrap_or_default();
    let theirs: f64 = theirs.trim().parse().unwrap_or_else(|_| panic!("{said}"));
    // mbpoll prints six digits.
    assert!((ours - theirs).abs() <= ours.abs() / 100_000.0, "{ours} and {theirs}");
}

/// A meter that nobody foresaw: a profile of one's own and two tables of configuration.
pub(super) const OWN_PROFILE: &str = r#"name = "acme-3p"
function = 4
max_read = 8
[[register]]
channel = "energy_active_import_total"
address = 0x0048
type = "f32"
unit = "kWh"
[[register]]
channel = "voltage_l1"
address = 0x0000
type = "f32"
unit = "V"
[[check]]
request = "04 00 48 00 02"
response = "04 04 43 9C 40 00"
expect = "energy_active_import_total 312.5 kWh"
"#;

#[tokio::test]
async fn a_meter_that_nobody_foresaw_is_stored_by_configuration_alone() {
    let test = "a_meter_that_nobody_foresaw_is_stored_by_configuration_alone";
    if !has_postgres(test) {
        return;
    }
    let Some(broker) = Mosquitto::start(test) else { return };
    let mut values = draw(&mut Random::new(test), 1, &[0x0000, 0x0048]);
    values.get_mut(&1).unwrap().insert(0x0000, 231.5);
    let Some(mut peer) = Peer::start(test, "rtu", &values, [0, 3, 0]) else { return };
    let mut head_end = HeadEnd::new(&Settings::bundles(broker.port));
    let profiles = head_end.path().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("acme-3p.toml"), OWN_PROFILE).unwrap();
    let parts = head_end.path().join("conf.d");
    std::fs::create_dir_all(&parts).unwrap();
    let config = format!(
        "[modbus]\nprofiles = \"{}\"\n[[modbus.gateways]]\nname = \"gw1\"\n\
         address = \"rtutcp://127.0.0.1:{}\"\ntimeout = \"200ms\"\n[[modbus.units]]\n\
         gateway = \"gw1\"\nunit = 1\nprofile = \"acme-3p\"\nevery = \"1s\"\n",
        profiles.display(),
        peer.port
    );
    std::fs::write(parts.join("modbus.toml"), config).unwrap();
    let checked = head_end.run(&["modbus", "check", "profiles/acme-3p.toml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    head_end.start();
    head_end.wait_ready();
    let stored = Stored::open(&head_end.data()).await;
    let reached = async |sql: &str, least: i64| {
        for _ in 0..400 {
            if stored.number(sql).await >= least {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    // Nobody has provisioned it: its polls wait as dead letters.
    assert!(reached("SELECT count(*) FROM dead_letter", 2).await, "{}", head_end.log_tail());
    head_end.provision(
        "meter,source,commodity,field,reading_type,kind,unit,decimals\n\
         M-1,modbus:gw1/1,electricity,energy_active_import_total,energy_active_import,register,kWh,3\n\
         M-1,,,voltage_l1,voltage,instant,V,3\n",
    );
    assert!(reached("SELECT count(*) FROM register_read", 8).await, "{}", head_end.log_tail());
    let import = values[&1][&0x0048];
    let milli = (f64::from(import) * 1_000_000.0).round();
    let wrong =
        format!("SELECT count(*) FROM register_read WHERE value <> {milli:.0} AND value <> 231500");
    assert_eq!(stored.number(&wrong).await, 0, "a value is wrong");
    assert!(peer.program.is_running(), "{}", peer.directory.path().display());
    head_end.stop();
}
