//! A JSON meter that nobody foresaw: described, tried and taken live in the browser, provisioned,
//! and read, while the head-end runs on. It is the walkthrough of the README.

use std::process::{Command, Output};
use std::time::Duration;

use crate::demo::{TURN, built};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{Program, find, has_postgres, wait_for};
use crate::kit::skip::skip;
use crate::kit::temp::{TempDir, free_port};
use crate::webdriver::{Browser, Size, http};

const SIZE: Size = Size { width: 1_280, height: 720 };
const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "workshop/press-3/state";

const MAPPING: &str = r#"[mapping]
name = "workshop"
note = "Presses of the workshop"
filter = "workshop/+/state"
id = 2

[time]
path = "/t"
format = "epoch_ms"

[[channel]]
field = "total"
path = "/meter/kwh"
unit = "kWh"
kind = "cumulative"

[[channel]]
field = "power"
path = "/meter/w"
unit = "W"
kind = "instant"

[[event]]
path = "/cover"
equals = "open"
event = "cover_opened"
"#;

const METERS: &str = "\
meter,source,commodity,address,field,reading_type,kind,unit,decimals,interval
E-77,mqtt:press-3,electricity,Workshop,total,energy_active_import,register,kWh,3,15m
";

/// A head-end with a broker of its own, and nothing configured but the bundles.
struct HeadEnd {
    console: u16,
    directory: TempDir,
    broker: Mosquitto,
    _program: Program,
}

impl HeadEnd {
    fn start(test: &str) -> Option<Self> {
        for needed in ["chromedriver", "chromium", "mosquitto_pub"] {
            if find(needed).is_none() {
                skip(test, &format!("{needed} is not installed"));
                return None;
            }
        }
        if !has_postgres(test) {
            return None;
        }
        let broker = Mosquitto::start(test)?;
        let directory = TempDir::new("browser-payloads");
        let console = free_port();
        let text = format!(
            "[utility]\nname = \"Test utility\"\nzone = \"UTC\"\n[data]\ndir = \"data\"\n\
             [console]\nlisten = \"127.0.0.1:{console}\"\n[mqtt]\n\
             url = \"mqtt://127.0.0.1:{}\"\nclient_id = \"headend-browser\"\n",
            broker.port
        );
        std::fs::write(directory.path().join("headend.toml"), text).unwrap();
        let mut command = Command::new(built());
        command.arg("serve").current_dir(directory.path());
        let log = directory.path().join("headend.log");
        let mut program = Program::start(&mut command, &log);
        let ready = wait_for(LIMIT, || {
            assert!(program.is_running(), "the head-end ended: {}", program.log());
            program.log().contains("The head-end is running")
                && std::net::TcpStream::connect(("127.0.0.1", console)).is_ok()
        });
        assert!(ready, "not ready: {}", program.log());
        Some(Self { console, directory, broker, _program: program })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.console)
    }

    fn publish(&self, payload: &str) {
        let sent = Command::new("mosquitto_pub")
            .args(["-p", &self.broker.port.to_string(), "-q", "1", "-V", "5"])
            .args(["-t", TOPIC, "-m", payload])
            .status();
        assert!(sent.unwrap().success());
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(built()).args(args).current_dir(self.directory.path()).output().unwrap()
    }
}

fn payload(kwh: &str) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let millis = now.as_millis();
    format!("{{\"t\":{millis},\"meter\":{{\"kwh\":{kwh},\"w\":-3}},\"cover\":\"shut\"}}")
}

fn fill(browser: &Browser, fields: &[(&str, &str)], button: &str) {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("form.elements.namedItem({name:?}).value = {value:?};"))
        .collect();
    let script = format!(
        "const form = document.querySelector(\"form[action='/payloads/try']\");
         {}
         const button = form.querySelector({button:?});
         setTimeout(() => form.requestSubmit(button), 0);
         return button !== null",
        fields.join("\n")
    );
    assert_eq!(browser.run(&script), true, "no {button}");
}

fn shows(browser: &Browser, what: &str) {
    let complete = || browser.run("return document.readyState") == "complete";
    let there = wait_for(LIMIT, || complete() && browser.text("main").contains(what));
    assert!(there, "no `{what}`: {}", browser.text("main"));
}

#[test]
fn a_json_meter_that_nobody_foresaw_is_brought_in_live_without_code() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_json_meter_that_nobody_foresaw_is_brought_in_live_without_code";
    let Some(head_end) = HeadEnd::start(test) else { return };
    let browser = Browser::open(SIZE);

    // A typing error is told with its line and changes nothing.
    browser.go(&head_end.url("/payloads"));
    let wrong = MAPPING.replace("path = \"/meter/kwh\"", "pth = \"/meter/kwh\"");
    let message = payload("812.5");
    let fields = [("topic", TOPIC), ("payload", &message), ("mapping", &wrong)];
    fill(&browser, &fields, "button[value=try]");
    shows(&browser, "line 13: [[channel]] has no key `pth`");

    let fields = [("topic", TOPIC), ("payload", &message), ("mapping", MAPPING)];
    fill(&browser, &fields, "button[value=try]");
    shows(&browser, "What this message would become");
    shows(&browser, "812.5 kWh");
    shows(&browser, "no meter yet");
    browser.picture("payloads-tried");

    let reason = [("reason", "new presses in the workshop")];
    fill(&browser, &reason, "button[value=apply]");
    shows(&browser, "workshop is live");
    browser.picture("payloads-live");
    assert!(browser.complaints().is_empty());

    // The head-end runs on and listens now; the device waits for commissioning.
    let waiting = || {
        head_end.publish(&payload("812.6"));
        browser.go(&head_end.url("/commissioning"));
        browser.text("main").contains("mqtt:press-3")
    };
    assert!(wait_for(LIMIT, waiting), "not heard: {}", browser.text("main"));

    std::fs::write(head_end.directory.path().join("meters.csv"), METERS).unwrap();
    let done = head_end.run(&["meters", "provision", "meters.csv"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    head_end.publish(&payload("812.75"));
    let stored = || {
        let answer = http(head_end.console, "GET", "/api/v1/meters/E-77/registers", "");
        let text = answer.to_string();
        // What was sent before it was provisioned came back too.
        text.contains("812750") && text.contains("812600")
    };
    assert!(wait_for(LIMIT, stored), "{}", {
        http(head_end.console, "GET", "/api/v1/meters/E-77/registers", "")
    });
    browser.go(&head_end.url("/meters/E-77"));
    shows(&browser, "812.75");
    browser.picture("payloads-meter");
}
