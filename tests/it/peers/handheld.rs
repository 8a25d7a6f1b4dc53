//! A route read on foot: its meters go out as a file, the handheld's file comes back through a
//! shipped layout, and the route shows who was not read.

use metering::UtcTime;
use serde_json::Value;

use crate::kit::Random;
use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::http;
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::has_postgres;

const METERS: &str = "\
meter,serial,source,commodity,address,account,route,field,reading_type,kind,unit,decimals,interval
W-1,SER0000001,radix:SER0000001,water,Mill Lane 1,A-000001,R-12,reading,volume,register,gal,0,1d
W-2,SER0000002,radix:SER0000002,water,Mill Lane 2,A-000002,R-12,reading,volume,register,gal,0,1d
W-3,SER0000003,radix:SER0000003,water,Mill Lane 3,A-000003,R-12,reading,volume,register,gal,0,1d
W-9,SER0000009,radix:SER0000009,water,Far Road 9,A-000009,R-13,reading,volume,register,gal,0,1d
";

fn get(head_end: &HeadEnd, path: &str) -> String {
    let (status, body) = http::get(head_end.console, path).unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// Route, account, reading, MMDDYY and serial in the columns of Radix's type A.
fn line(route: u32, reading: u64, day: &str, serial: u32) -> String {
    format!("   {route:03}{serial:06} {reading:07}{day}SER{serial:07}\r\n")
}

#[tokio::test]
async fn a_route_is_read_on_foot_and_shows_who_was_not() {
    let test = "a_route_is_read_on_foot_and_shows_who_was_not";
    if !has_postgres(test) {
        return;
    }
    let Some(broker) = Mosquitto::start(test) else { return };
    let mut head_end = HeadEnd::new(&Settings::bundles(broker.port));
    head_end.provision(METERS);
    head_end.start();
    head_end.wait_ready();
    let assigned = get(&head_end, "/api/v1/meters.csv?route=R-12");
    // Sent in chunks, whose lengths stand between the lines.
    let meters: Vec<&str> = assigned.lines().filter(|line| line.starts_with("W-")).collect();
    assert!(meters.len() == 3 && meters[2].contains("Mill Lane 3"), "{assigned}");

    let mut random = Random::new(test);
    let now = UtcTime::from_seconds(
        i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap(),
    );
    let day = now.to_jiff().strftime("%m%d%y").to_string();
    let (first, second) = (random.below(9_000_000), random.below(9_000_000));
    let text = line(12, first, &day, 1) + &line(12, second, &day, 2) + &line(12, 7, &day, 4);
    std::fs::write(head_end.path().join("R-12.txt"), text).unwrap();
    let ended = head_end.run(&["import", "R-12.txt", "--layout", "radix-a", "--json"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said} {}", String::from_utf8_lossy(&ended.stderr));
    let told: Value = serde_json::from_str(&said).unwrap();
    // The fourth of the file is none of ours: it waits for its meter.
    assert_eq!((&told["reads_new"], &told["dead"]), (&2.into(), &1.into()), "{told}");

    let stored = Stored::open(&head_end.data()).await;
    for (number, reading) in [("W-1", first), ("W-2", second)] {
        let sql = format!(
            "SELECT raw FROM register_read JOIN meter USING (meter_id) WHERE number = '{number}'"
        );
        assert_eq!(stored.number(&sql).await, i64::try_from(reading).unwrap(), "{number}");
    }
    let routes: Value = serde_json::from_str(&get(&head_end, "/api/v1/routes")).unwrap();
    let route = routes["items"].as_array().unwrap().iter().find(|r| r["code"] == "R-12").unwrap();
    assert_eq!((&route["meters"], &route["meters_unread_35d"]), (&3.into(), &1.into()), "{route}");
    let page = get(&head_end, "/meters/W-1");
    assert!(page.contains("R-12"), "the meter's page names its route");
    head_end.stop();
}
