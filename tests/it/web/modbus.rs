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

/// What the page wants to have confirmed.
fn yes_of(page: &str) -> String {
    let value = page.split(r#"name="confirm" value=""#).nth(1).expect("the page asks for nothing");
    encoded(value.split('"').next().unwrap())
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
    // The name is taken: another address needs a yes, given for this very address and profile.
    let other = free_port();
    let moved = rig.submit("/modbus/apply", &form(other, PROFILE, "moved")).await.text();
    let asked = words(&moved);
    assert!(asked.contains("This is polled already"), "{asked}");
    assert!(asked.contains("no meter is provisioned for it"), "{asked}");
    let yes = yes_of(&moved);
    let third = PROFILE.replace("acme-3p", "acme-3p-new");
    for wrong in [form(free_port(), PROFILE, "moved"), form(other, &third, "moved")] {
        let told = rig.submit("/modbus/apply", &format!("{wrong}&confirm={yes}")).await;
        assert!(words(&told.text()).contains("This is polled already"), "{}", told.text());
    }
    let confirmed = format!("{}&confirm={yes}", form(other, PROFILE, "moved"));
    let done = rig.submit("/modbus/apply", &confirmed).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let back = rig.submit("/modbus/apply", &form(port, PROFILE, "back")).await.text();
    let back = format!("{}&confirm={}", form(port, PROFILE, "back"), yes_of(&back));
    let done = rig.submit("/modbus/apply", &back).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());

    // The gateway is a collector of its own name, by which its outage is found.
    let heartbeat_s = async || {
        let row = collectors::by_code(&rig.database, "plant", rig.clock.now()).await.unwrap();
        row.unwrap().row.heartbeat_s
    };
    assert_eq!(heartbeat_s().await, 300);

    let ended = rig.submit("/modbus/end", "source=modbus%3Aplant%2F2&reason=sold").await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.text());
    let after = words(&rig.get("/modbus").await.text());
    assert!(after.contains("ended") && after.contains("local operator: sold"), "{after}");
    // It stops without a restart, too.
    let quiet = async {
        while tokio::time::timeout(Duration::from_secs(4), polled.recv()).await.is_ok() {}
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), quiet).await.is_ok(), "polled on");
    // Nothing is waited for any more, so nothing is missed.
    assert_eq!(heartbeat_s().await, 0);
    stop.send_replace(true);
    task.await.unwrap();
}

#[tokio::test]
async fn a_profile_that_is_live_is_offered_for_the_next_unit() {
    let Some(rig) = ConsoleRig::seeded("modbus next unit", "").await else { return };
    let port = free_port();
    let next = |unit: u8, profile: &str| {
        let first = form(port, "", "next press");
        let first = first.replace("&unit=2&", &format!("&unit={unit}&"));
        first.replace("&profile=&", &format!("&profile={profile}&"))
    };
    // While no unit carries it, nobody knows the name.
    let unknown = rig.submit("/modbus/apply", &next(3, "acme-3p")).await;
    let unknown = words(&unknown.text());
    assert!(unknown.contains("No profile is named acme-3p"), "{unknown}");
    let done = rig.submit("/modbus/apply", &form(port, PROFILE, "new press")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let page = rig.get("/modbus").await.text();
    assert!(page.contains(r#"<option value="acme-3p">"#), "{page}");
    assert!(page.contains("(taken live here)") && page.contains("acme-3p, a profile of its own"));

    let done = rig.submit("/modbus/apply", &next(3, "acme-3p")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let live = store::modbus_units::live(&rig.database).await.unwrap();
    let profiles: Vec<&str> = live.iter().map(|row| &*row.unit.profile).collect();
    assert!(profiles.len() == 2 && profiles[0].starts_with(PROFILE), "{profiles:?}");
    assert_eq!(profiles[1], profiles[0], "the next unit carries it, too");
    // Another profile of that name is not taken without a word.
    let other = PROFILE.to_owned() + "\n# another scale\n";
    let other = form(port, &other, "odd scale").replace("&unit=2&", "&unit=6&");
    let asked = rig.submit("/modbus/apply", &other).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
    assert!(
        words(&asked.text()).contains("nother profile of this name is polled by modbus:plant/2"),
        "{}",
        asked.text()
    );
    // A name of the program means what it meant.
    let taken = PROFILE.replace("acme-3p", "eastron-sdm630");
    let own = form(port, &taken, "odd name").replace("&unit=2&", "&unit=4&");
    assert_eq!(rig.submit("/modbus/apply", &own).await.status, StatusCode::SEE_OTHER);
    let done = rig.submit("/modbus/apply", &next(5, "eastron-sdm630")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let live = store::modbus_units::live(&rig.database).await.unwrap();
    let fifth = live.iter().find(|row| row.unit.unit == 5).unwrap();
    assert_eq!(fifth.unit.profile, "eastron-sdm630");
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

    // Nor may a unit that moves along take another's place.
    let gw2 = unit("10.0.0.7:502", "").replace("gw1", "gw2");
    assert_eq!(post("", &gw2.replace(r#""unit":3"#, r#""unit":4"#)).await.status, StatusCode::OK);
    let along = post("", &unit("10.0.0.7:502", r#","confirm":true"#)).await;
    assert_eq!(along.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", along.text());
    assert!(along.text().contains("unit 4 at tcp://10.0.0.7:502 is polled as modbus:gw2/4"));
    // Of two that want one place at once, one has it.
    let five = |gateway: &str| {
        let body = unit("10.0.0.5:502", "").replace(r#""unit":3"#, r#""unit":5"#);
        body.replace("gw1", gateway)
    };
    let bodies = ["gw5", "gw6", "gw7", "gw8"].map(five);
    let [a, b, c, d] = &bodies;
    let all = tokio::join!(post("", a), post("", b), post("", c), post("", d));
    let all = [all.0, all.1, all.2, all.3].map(|answer| answer.status);
    let taken = all.iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!(taken, 1, "{all:?}");
    let live = rig.json("/api/v1/modbus/units").await;
    let mut live = live["items"].as_array().unwrap().iter();
    let winner = live.find(|unit| unit["unit"] == 5).unwrap()["source"].as_str().unwrap();
    for source in ["modbus:gw2/4", winner] {
        let body = format!(r#"{{"source":"{source}","reason":"tried"}}"#);
        assert_eq!(post("/end", &body).await.json()["items"][0]["source"], source);
    }

    let ended = post("/end", r#"{"source":"modbus:gw1/4","reason":"sold"}"#).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    assert_eq!(ended.json()["items"][0]["live"], false);
    assert_eq!(rig.json("/api/v1/modbus/units").await["items"].as_array().unwrap().len(), 1);
    let history = rig.json("/api/v1/modbus/units/history").await;
    assert_eq!(history["items"].as_array().unwrap().len(), 8, "{history}");

    // A gateway over TCP may be unit 0; on a bus nobody answers at 0.
    let zero = |address: &str| unit(address, "").replace(r#""unit":3"#, r#""unit":0"#);
    let itself = post("", &zero("10.0.0.4:502").replace("gw1", "gw4")).await;
    assert_eq!(itself.status, StatusCode::OK, "{}", itself.text());
    assert_eq!(itself.json()["items"][0]["source"], "modbus:gw4/0");
    let bus = post("", &zero("rtutcp://10.0.0.3:502").replace("gw1", "gw3")).await;
    assert_eq!(bus.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", bus.text());
    assert!(bus.text().contains("unit 0 is the broadcast of a bus"), "{}", bus.text());
}

#[tokio::test]
async fn meters_are_polled_while_their_gateway_cannot_become_a_collector() {
    let Some(rig) = ConsoleRig::seeded("modbus held", "").await else { return };
    let port = simulated_bus().await;
    let done = rig.submit("/modbus/apply", &form(port, PROFILE, "new press")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    // Somebody provisions so many meters that the asset model is his for a while.
    let holder = rig.database.client().await.unwrap();
    holder.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(x'6173736574'::int8)").await.unwrap();

    let utility = "Utility".to_owned();
    let base = Base { gateways: Vec::new(), profiles: Profiles::builtin(), utility };
    let (polling, mut polled) = Polling::new(SystemClock::shared(), Profiles::builtin());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(live::run(polling, base, rig.database.clone(), stopped));
    let mut next = async || {
        tokio::time::timeout(Duration::from_secs(30), polled.recv()).await.unwrap().unwrap()
    };
    assert_eq!(next().await.source, "modbus:plant/2");
    holder.batch_execute("ROLLBACK").await.unwrap();
    while next().await.source != "collector:plant" {}
    stop.send_replace(true);
    task.await.unwrap();
}
