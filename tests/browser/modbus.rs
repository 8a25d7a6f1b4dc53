//! A Modbus meter that nobody foresaw: described by its own frame, tried, taken live in the browser,
//! provisioned, and read. The walkthrough of the README; the meter is a program of its own.

use std::process::Command;

use crate::acts::{LIMIT, fill, shows};
use crate::demo::{TURN, built};
use crate::head_end::{HeadEnd, pictures};
use crate::kit::program::{Program, wait_for};
use crate::kit::temp::free_port;
use crate::webdriver::{Browser, Size, http};

const SIZE: Size = Size { width: 1_280, height: 720 };
const FORM: &str = "form[action='/modbus/try']";

const PROFILE: &str = r#"name = "acme-3p"
function = 4

[[register]]
channel = "energy_active_import_total"
address = 0x0048
type = "f32"
unit = "kWh"

[[check]]
request = "04 00 48 00 02"
response = "04 04 43 9C 40 00"
expect = "energy_active_import_total 312.5 kWh"
"#;

const METERS: &str = "\
meter,source,commodity,address,field,reading_type,kind,unit,decimals,interval
E-88,modbus:plant/2,electricity,Press hall,energy_active_import_total,energy_active_import,register,kWh,3,15m
";

#[test]
fn a_modbus_meter_that_nobody_foresaw_is_brought_in_live_without_code() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_modbus_meter_that_nobody_foresaw_is_brought_in_live_without_code";
    let Some(head_end) = HeadEnd::start(test) else { return };
    let bus = free_port();
    let mut meter = Command::new(built());
    meter.args(["modbus", "simulate", "--rtu", "--units", "2", "--speed", "600"]);
    meter.args(["--listen", &format!("127.0.0.1:{bus}")]).current_dir(head_end.path());
    let _meter = Program::start(&mut meter, &head_end.path().join("bus.log"));
    let up = wait_for(LIMIT, || std::net::TcpStream::connect(("127.0.0.1", bus)).is_ok());
    assert!(up, "the meter does not listen");
    let browser = Browser::open(SIZE);
    browser.go(&head_end.url("/modbus"));
    shows(&browser, "No Modbus meter is polled");

    // Frames that say something else than the description are told, and nothing changes.
    let address = format!("rtutcp://127.0.0.1:{bus}");
    let wrong = PROFILE.replace("312.5", "312.6");
    let device = [("gateway", "plant"), ("address", &address), ("unit", "2"), ("every", "1s")];
    fill(&browser, FORM, &[&device[..], &[("own", &wrong)]].concat(), "button[value=try]");
    shows(&browser, "but the frames give energy_active_import_total 312.5 kWh");
    fill(&browser, FORM, &[&device[..], &[("own", PROFILE)]].concat(), "button[value=try]");
    shows(&browser, "What the device shows");
    let shown = browser.text("#tried td.num");
    assert!(shown.contains("kWh"), "{shown}");
    browser.picture("modbus-tried");
    fill(&browser, FORM, &[("reason", "new press")], "button[value=apply]");
    shows(&browser, "new press");

    // It waits for commissioning; then it is a meter, and what it shows is stored.
    let heard = || {
        browser.go(&head_end.url("/commissioning"));
        browser.text("main").contains("modbus:plant/2")
    };
    assert!(wait_for(LIMIT, heard), "not heard: {}", browser.text("main"));
    head_end.provision(METERS);
    let registers = || http(head_end.console, "GET", "/api/v1/meters/E-88/registers", "");
    let stored =
        wait_for(LIMIT, || registers()["items"].as_array().is_some_and(|reads| reads.len() >= 3));
    assert!(stored, "{}", registers());
    let first = shown.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    let text = registers()["items"][0].to_string();
    browser.go(&head_end.url("/meters/E-88"));
    shows(&browser, "kWh");
    assert!(first > 0.0, "{shown}: {text}");
    browser.go(&head_end.url("/modbus"));
    shows(&browser, "modbus:plant/2");
    let pages =
        [("/modbus", "modbus"), ("/payloads", "payloads"), ("/meters/E-88", "modbus_meter")];
    pictures(&head_end, &pages);

    fill(&browser, "form[action='/modbus/end']", &[("reason", "sold")], "button");
    shows(&browser, "local operator: sold");
    assert!(browser.complaints().is_empty());
}
