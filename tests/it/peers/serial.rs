//! A meter made with pymodbus on a serial line: a terminal of the system, which comes with echo and
//! line editing. The system keeps no parity for such a terminal, so that is not seen here.

use std::process::Command;
use std::time::Duration;

use super::modbus::{OWN_PROFILE, Peer, Values, draw};
use crate::kit::Random;
use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

/// Two meters of one bus; the voltage is one that a channel of the profile may have.
fn meters(test: &str) -> Values {
    let mut values = draw(&mut Random::new(test), 2, &[0x0000, 0x0048]);
    for (unit, registers) in &mut values {
        registers.insert(0x0000, 230.0 + f32::from(*unit));
    }
    values
}

#[test]
fn a_meter_on_a_serial_line_is_read() {
    let test = "a_meter_on_a_serial_line_is_read";
    let values = meters(test);
    let Some((peer, line)) = Peer::on_a_line(test, &values, 0) else { return };
    let directory = TempDir::new("serial");
    let profile = directory.path().join("acme-3p.toml");
    std::fs::write(&profile, OWN_PROFILE).unwrap();
    for (unit, registers) in &values {
        let run = Command::new(env!("CARGO_BIN_EXE_headend"))
            .args(["modbus", "read", &line, "--unit", &unit.to_string(), "--profile"])
            .arg(&profile)
            .args(["--output", "json"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{said}\n{}", peer.program.log());
        let rows: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        let value = |channel: &str| {
            let mut rows = rows.as_array().unwrap().iter();
            rows.find(|row| row["channel"] == channel).and_then(|row| row["value"].as_f64())
        };
        let want = |register: u16| Some(f64::from(registers[&register]));
        assert_eq!(value("energy_active_import_total"), want(0x0048), "unit {unit}: {rows}");
        assert_eq!(value("voltage_l1"), want(0x0000), "unit {unit}: {rows}");
    }
    // The default of the standard, and nothing that the terminal would do to a byte.
    let log = peer.program.log();
    assert!(log.contains("line is set: 19200 baud, 1 stop, 0 0 0"), "{log}");
}

#[test]
fn a_line_that_is_none_and_a_unit_that_is_silent_are_told_apart() {
    let test = "a_line_that_is_none_and_a_unit_that_is_silent_are_told_apart";
    // Every answer is lost.
    let Some((_peer, line)) = Peer::on_a_line(test, &meters(test), 1) else { return };
    let directory = TempDir::new("serial");
    let file = directory.path().join("no-line");
    std::fs::write(&file, "").unwrap();
    let read = |address: &str| {
        let run = Command::new(env!("CARGO_BIN_EXE_headend"))
            .args(["modbus", "read", address, "--unit", "1", "--profile", "eastron-sdm630"])
            .args(["--timeout", "100"])
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (code, said) = read(&line);
    assert!(code == Some(69) && said.contains("no answer"), "{code:?} {said}");
    let (code, said) = read(file.to_str().unwrap());
    assert!(code == Some(69) && said.contains("is no serial line"), "{code:?} {said}");
    let (code, said) = read("/dev/headend-has-no-such-line");
    assert!(code == Some(69) && said.contains("plugged in"), "{code:?} {said}");
}

#[tokio::test]
async fn meters_on_a_serial_line_are_polled_and_stored() {
    let test = "meters_on_a_serial_line_are_polled_and_stored";
    if !has_postgres(test) {
        return;
    }
    let Some(broker) = Mosquitto::start(test) else { return };
    let values = meters(test);
    // Every fifth answer is lost, so that the line is closed and opened again.
    let Some((peer, line)) = Peer::on_a_line(test, &values, 5) else { return };
    let mut head_end = HeadEnd::new(&Settings::bundles(broker.port));
    let profiles = head_end.path().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("acme-3p.toml"), OWN_PROFILE).unwrap();
    let parts = head_end.path().join("conf.d");
    std::fs::create_dir_all(&parts).unwrap();
    let unit = |unit: u8| {
        format!(
            "[[modbus.units]]\ngateway = \"bus1\"\nunit = {unit}\nprofile = \"acme-3p\"\n\
             every = \"1s\"\n"
        )
    };
    let config = format!(
        "[modbus]\nprofiles = \"{}\"\n[[modbus.gateways]]\nname = \"bus1\"\n\
         address = \"{line}\"\nbaud = 9600\nparity = \"none\"\nstop_bits = 2\n\
         timeout = \"200ms\"\n{}{}",
        profiles.display(),
        unit(1),
        unit(2)
    );
    std::fs::write(parts.join("modbus.toml"), config).unwrap();
    let meter = |unit: u8| {
        format!(
            "M-{unit},modbus:bus1/{unit},electricity,energy_active_import_total,\
             energy_active_import,register,kWh,3\nM-{unit},,,voltage_l1,voltage,instant,V,3\n"
        )
    };
    head_end.provision(&format!(
        "meter,source,commodity,field,reading_type,kind,unit,decimals\n{}{}",
        meter(1),
        meter(2)
    ));
    head_end.start();
    head_end.wait_ready();
    let stored = Stored::open(&head_end.data()).await;
    let of = |unit: u8, what: &str| {
        let milli = |register: u16| f64::from(values[&unit][&register]) * 1_000.0;
        let (import, volts) = (milli(0x0048).round() * 1_000.0, milli(0x0000).round());
        let right = format!("(r.value = {import:.0} OR r.value = {volts:.0})");
        format!(
            "SELECT count(*) FROM register_read r JOIN meter m USING (meter_id) \
             WHERE m.number = 'M-{unit}' AND {what} {right}"
        )
    };
    for unit in [1, 2] {
        let mut right = 0;
        for _ in 0..600 {
            right = stored.number(&of(unit, "")).await;
            if right >= 8 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(right >= 8, "unit {unit}: {right}\n{}", head_end.log_tail());
        assert_eq!(stored.number(&of(unit, "NOT")).await, 0, "a value of unit {unit} is wrong");
    }
    let log = peer.program.log();
    assert!(log.contains("line is set: 9600 baud, 2 stop, 0 0 0"), "{log}");
    head_end.stop();
}
