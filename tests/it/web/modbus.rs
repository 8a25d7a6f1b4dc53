//! A Modbus meter that nobody foresaw: tried on the page, taken live, polled without a restart, and
//! ended. The walkthrough of the README, through the router.

use std::time::Duration;

use axum::http::StatusCode;
use headend::clock::{Clock as _, SystemClock};
use headend::polling::Polling;
use headend::polling::live::{self, Base};
use headend::polling::profiles::Profiles;
use headend::simulate::modbus::{BusFaults, BusOptions, ModbusSimOptions};
use store::views::collectors;
use tokio::sync::watch;

use super::call::Rig;
use super::console::{ConsoleRig, words};
use crate::kit::temp::free_port;

const PROFILE: &str = "name = \"acme-3p\"\nfunction = 4\n[[register]]\n\
    channel = \"energy_active_import_total\"\naddress = 0x0048\ntype = \"f32\"\nunit = \"kWh\"\n\
    [[check]]\nrequest = \"04 00 48 00 02\"\nresponse = \"04 04 43 9C 40 00\"\n\
    expect = \"energy_active_import_total 312.5 kWh\"\n";

/// A form field's text as a browser sends it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
        out
    })
}

fn form(port: u16, own: &str, reason: &str) -> String {
    format!(
        "gateway=plant&address={}&unit=2&profile=&own={}&every=1s&reason={}",
        encoded(&format!("rtutcp://127.0.0.1:{port}")),
        encoded(own),
        encoded(reason)
    )
}

async fn simulated_bus() -> u16 {
    let port = free_port();
    let listen = ([127, 0, 0, 1], port).into();
    let bus = BusOptions { listen, rtu: true, faults: BusFaults::default() };
    let options = ModbusSimOptions { bus, units: 2, seed: 3, speed: 1, provision_out: None };
    tokio::spawn(headend::simulate::modbus::run(options));
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    port
}

#[tokio::test]
async fn a_modbus_meter_that_nobody_foresaw_is_tried_and_taken_live() {
    let Some(rig) = ConsoleRig::seeded("modbus", "").await else { return };
    let port = simulated_bus().await;
    let empty = words(&rig.get("/modbus").await.text());
    assert!(empty.contains("No Modbus meter is polled"), "{empty}");

    // A profile whose frames say something else is told, and nothing changes.
    let wrong = PROFILE.replace("312.5", "312.6");
    let told = words(&rig.submit("/modbus/try", &form(port, &wrong, "")).await.text());
    assert!(told.contains("but the frames give energy_active_import_total 312.5 kWh"), "{told}");
    let tried = words(&rig.submit("/modbus/try", &form(port, PROFILE, "")).await.text());
    assert!(tried.contains("What the device shows"), "{tried}");
    let value = tried.split("energy_active_import_total ").nth(1).unwrap();
    let value: f64 = value.split_whitespace().next().unwrap().parse().unwrap();

    let none = rig.submit("/modbus/apply", &form(port, PROFILE, "")).await;
    assert!(words(&none.text()).contains("needs a reason"), "{}", none.text());
    let done = rig.submit("/modbus/apply", &form(port, PROFILE, "new press")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());

    // The running head-end takes it over by itself.
    let utility = "Utility".to_owned();
    let base = Base { gateways: Vec::new(), profiles: Profiles::builtin(), utility };
    let (polling, mut polled) = Polling::new(SystemClock::shared(), Profiles::builtin());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(live::run(polling, base, rig.database.clone(), stopped));
    // First it says that it is there, as a collector does.
    let mut next = async || {
        tokio::time::timeout(Duration::from_secs(30), polled.recv()).await.unwrap().unwrap()
    };
    assert_eq!(next().await.source, "collector:plant");
    let record = next().await;
    assert_eq!((record.source.as_str(), record.profile.as_str()), ("modbus:plant/2", "acme-3p"));
    let read: f64 = record.reads[0].values[0].value.unwrap().to_string().parse().unwrap();
    assert!((read - value).abs() < 1.0, "{read} and {value}");

    let shown = words(&rig.get("/modbus").await.text());
    assert!(shown.contains("modbus:plant/2") && shown.contains("new press"), "{shown}");
    // The name is taken: another address needs a yes, given for this very address.
    let other = free_port();
    let moved = rig.submit("/modbus/apply", &form(other, PROFILE, "moved")).await;
    let asked = words(&moved.text());
    assert!(asked.contains("This is polled already"), "{asked}");
    assert!(asked.contains("no meter is provisioned for it"), "{asked}");
    let yes = |port: u16| encoded(&format!("modbus:plant/2 rtutcp://127.0.0.1:{port}"));
    let wrong = format!("{}&confirm={}", form(other, PROFILE, "moved"), yes(port));
    let wrong = rig.submit("/modbus/apply", &wrong).await;
    assert!(words(&wrong.text()).contains("This is polled already"), "confirmed another address");
    let confirmed = format!("{}&confirm={}", form(other, PROFILE, "moved"), yes(other));
    let done = rig.submit("/modbus/apply", &confirmed).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let back = format!("{}&confirm={}", form(port, PROFILE, "back"), yes(port));
    let done = rig.submit("/modbus/apply", &back).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());

    // The gateway is a collector of its own name, by which its outage is found.
    let row = collectors::by_code(&rig.database, "plant", rig.clock.now()).await.unwrap();
    assert_eq!(row.unwrap().row.heartbeat_s, 300);

    let ended = rig.submit("/modbus/end", "source=modbus%3Aplant%2F2&reason=sold").await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.text());
    let after = words(&rig.get("/modbus").await.text());
    assert!(after.contains("ended") && after.contains("local operator: sold"), "{after}");
    // It stops without a restart, too.
    let quiet = async {
        while tokio::time::timeout(Duration::from_secs(4), polled.recv()).await.is_ok() {}
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), quiet).await.is_ok(), "polled on");
    stop.send_replace(true);
    task.await.unwrap();
}

#[tokio::test]
async fn units_are_listed_taken_live_and_ended_over_the_api() {
    let Some(rig) = Rig::seeded("modbus api").await else { return };
    let json = [("content-type", "application/json")];
    let unit = |address: &str, more: &str| {
        format!(
            r#"{{"gateway":"gw1","address":"{address}","unit":3,"profile":"eastron-sdm630",
            "every":"5m","reason":"new bus"{more}}}"#
        )
    };
    let post = async |path: &str, body: &str| {
        rig.post(&format!("/api/v1/modbus/units{path}"), &json, body).await
    };
    assert_eq!(rig.json("/api/v1/modbus").await["items"], serde_json::json!([]));
    let no_reason = post("", &unit("10.0.0.8:502", "").replace("new bus", " ")).await;
    assert_eq!(no_reason.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", no_reason.text());

    let live = post("", &unit("10.0.0.8:502", "")).await;
    assert_eq!(live.status, StatusCode::OK, "{}", live.text());
    assert_eq!(live.json()["items"][0]["source"], "modbus:gw1/3");
    let moved = post("", &unit("10.0.0.9:502", "")).await;
    assert_eq!(moved.status, StatusCode::CONFLICT, "{}", moved.text());
    assert!(moved.text().contains("modbus:gw1/3 is live at tcp://10.0.0.8:502"));
    let other = post("", &unit("10.0.0.9:502", "").replace(r#""unit":3"#, r#""unit":4"#)).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "a gateway is at one address");

    // Confirmed, the gateway's other unit moves along.
    let both = unit("10.0.0.9:502", r#","confirm":true"#).replace(r#""unit":3"#, r#""unit":4"#);
    assert_eq!(post("", &both).await.status, StatusCode::OK);
    let list = rig.json("/api/v1/modbus/units").await;
    let places: Vec<_> = list["items"].as_array().unwrap().iter().collect();
    assert_eq!(places.len(), 2);
    assert!(places.iter().all(|unit| unit["address"] == "tcp://10.0.0.9:502"), "{list}");
    // The same place under another name would read one meter twice.
    let twice = post("", &unit("10.0.0.9:502", "").replace("gw1", "gw2")).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", twice.text());

    let ended = post("/end", r#"{"source":"modbus:gw1/4","reason":"sold"}"#).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    assert_eq!(ended.json()["items"][0]["live"], false);
    assert_eq!(rig.json("/api/v1/modbus/units").await["items"].as_array().unwrap().len(), 1);
    let history = rig.json("/api/v1/modbus/units/history").await;
    assert_eq!(history["items"].as_array().unwrap().len(), 4, "{history}");
}
