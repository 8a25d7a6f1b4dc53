//! Meters tried from the command line: Modbus devices, payloads, simulators without a broker.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{begin, headend};
use crate::kit::program::has_postgres;
use crate::kit::program::wait_for;
use crate::kit::temp::{TempDir, free_port};

const PROFILE: &str = "name = \"acme-3p\"\nfunction = 4\n[[register]]\n\
    channel = \"energy_active_import_total\"\naddress = 0x0048\ntype = \"f32\"\nunit = \"kWh\"\n\
    [[check]]\nrequest = \"04 00 48 00 02\"\nresponse = \"04 04 43 9C 40 00\"\n\
    expect = \"energy_active_import_total 312.5 kWh\"\n";

/// A simulated bus, ended with this.
struct Bus(Child);

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bus(port: u16) -> Bus {
    let child = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(["modbus", "simulate", "--units", "1", "--listen", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let bus = Bus(child);
    assert!(wait_for(Duration::from_secs(30), up), "the bus did not open its port");
    bus
}

#[test]
fn a_modbus_device_is_read_by_a_profile_of_ones_own_and_advice_fits_what_is_wrong() {
    let here = TempDir::new("modbus-verbs");
    std::fs::write(here.path().join("acme.toml"), PROFILE).unwrap();
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let run = |args: &[&str]| headend(here.path(), &[&["modbus"], args].concat(), &[]);

    let nobody = run(&["probe", &at, "--unit", "1"]);
    assert_eq!(nobody.code, 69, "{}", nobody.stderr);
    assert!(nobody.stderr.contains("nothing was asked"), "{}", nobody.stderr);
    assert!(!nobody.stderr.contains("no profile fits"), "{}", nobody.stderr);

    let bus = bus(port);
    let read = run(&["read", &at, "--unit", "1", "--profile", "acme.toml"]);
    assert_eq!(read.code, 0, "{}", read.stderr);
    assert!(read.stdout.contains("energy_active_import_total"), "{}", read.stdout);
    let probe = run(&["probe", &at, "--unit", "1", "--profile", "./acme.toml"]);
    assert_eq!(probe.code, 0, "{}", probe.stderr);

    let neither = run(&["read", &at, "--unit", "1"]);
    assert_eq!(neither.code, 64);
    for option in ["--profile", "--address"] {
        assert!(neither.stderr.contains(option), "{}", neither.stderr);
    }
    let other = run(&["read", &at, "--unit", "1", "--profile", "abb-b2x"]);
    assert_eq!(other.code, 65, "{}", other.stderr);
    assert!(other.stderr.contains("has none of the values of abb-b2x"), "{}", other.stderr);
    let other = run(&["probe", &at, "--unit", "1", "--profile", "abb-b2x"]);
    assert_eq!(other.code, 65, "it answers, and is no abb-b2x: {}", other.stderr);
    let silent = run(&["probe", &at, "--unit", "9", "--timeout", "50"]);
    assert_eq!(silent.code, 69, "{}", silent.stderr);
    assert!(silent.stderr.contains("unit 9 answers nothing"), "{}", silent.stderr);
    drop(bus);

    assert_eq!(run(&["check", "acme.toml"]).code, 0);
    assert_eq!(run(&["check", "nofile.toml"]).code, 74);
    assert_eq!(run(&["read", &at, "--unit", "1", "--profile", "nofile.toml"]).code, 74);
    assert_eq!(run(&["read", &at, "--unit", "1", "--profile", "nobody"]).code, 64);
}

#[test]
fn a_simulator_without_a_broker_ends_by_itself() {
    let here = TempDir::new("no-broker");
    // Bound, and nobody accepts: freed at the end.
    let port = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let broker = format!("127.0.0.1:{port}");
    let args = ["simulate", "--kind", "tasmota", "--broker", &broker, "--meters", "1"];
    let ended = headend(here.path(), &args, &[]);
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("no broker at {broker}")), "{}", ended.stderr);
    assert!(ended.stderr.contains("zone = \"Europe/Berlin\""), "{}", ended.stderr);
}

#[test]
fn trying_a_payload_tells_battery_and_signal_and_refuses_what_would_never_come() {
    let here = TempDir::new("try");
    let mapping = "[mapping]\nname = \"a\"\nfilter = \"plant/+/m\"\nid = 2\n[[channel]]\n\
        field = \"e\"\npath = \"/e\"\nunit = \"kWh\"\nkind = \"cumulative\"\n\
        [battery]\npath = \"/bat\"\nunit = \"mV\"\n[rssi]\npath = \"/rssi\"\n";
    std::fs::write(here.path().join("a.toml"), mapping).unwrap();
    let payload = r#"{"e": 1.5, "bat": 3600, "rssi": -71}"#;
    let run = |mapping: &str, topic: &str, more: &[&str]| {
        let args = ["protocols", "try", "--mapping", mapping, "--topic", topic];
        headend(here.path(), &[&args[..], more].concat(), &[])
    };
    let told = run("a.toml", "plant/7/m", &["--payload", payload]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("battery 3600 mV"), "{}", told.stdout);
    assert!(told.stdout.contains("signal -71 dBm"), "{}", told.stdout);
    let elsewhere = run("a.toml", "site/7/m", &["--payload", payload]);
    assert_eq!(elsewhere.code, 65, "{}", elsewhere.stderr);
    let without = run("a.toml", "plant/7/m", &[]);
    assert_eq!(without.code, 64);
    assert!(without.stderr.contains("--payload-file"), "{}", without.stderr);
    let unknown = run("nosuch", "plant/7/m", &["--payload", payload]);
    assert!(unknown.stderr.contains("zigbee2mqtt"), "{}", unknown.stderr);
    let args = ["protocols", "try", "--topic", "t", "--payload", "1"];
    let neither = headend(here.path(), &args, &[]);
    assert_eq!(neither.code, 64);
    assert!(neither.stderr.contains("--format"), "{}", neither.stderr);
    let list = headend(here.path(), &["protocols", "list"], &[]);
    let wmbus = list.stdout.lines().find(|line| line.contains(" wmbus ")).unwrap();
    assert!(wmbus.contains("docs/amr.md"), "{wmbus}");
}

#[test]
fn counters_and_events_of_a_meter_can_be_printed() {
    if !has_postgres("counters_and_events_of_a_meter_can_be_printed") {
        return;
    }
    let here = TempDir::new("reads");
    begin(here.path());
    let run = |more: &[&str]| headend(here.path(), &[&["reads", "E-1"], more].concat(), &[]);
    let none = run(&[]);
    assert!(none.stderr.contains("no intervals between"), "{}", none.stderr);
    let none = run(&["--registers"]);
    assert_eq!(none.code, 0, "{}", none.stderr);
    assert!(none.stderr.contains("no counters or momentary values"), "{}", none.stderr);
    let none = run(&["--events"]);
    assert!(none.stderr.contains("no events between"), "{}", none.stderr);
    let unknown = run(&["--registers", "--channel", "vol"]);
    assert_eq!(unknown.code, 65);
    assert!(unknown.stderr.contains("1 (energy_import)"), "{}", unknown.stderr);
}
