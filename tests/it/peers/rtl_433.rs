//! Debian's `rtl_433` decodes packets that we make, and its lines go through `mosquitto_pub -l` and
//! the broker into the program, as at a collector.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::kit::Random;
use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{find, has_postgres};
use crate::kit::skip::skip;

const STORED_LIMIT: Duration = Duration::from_secs(20);
/// Each sends once: all packets are decoded within a second, and stamps are whole seconds.
const METERS: u64 = 12;
const ROUNDS: u64 = 1;

/// One packet: 96 bits with preamble and check sum (standard consumption message).
fn packet(id: u64, kind: u64, tamper: (u64, u64), consumption: u64) -> String {
    let mut bits: u128 = 0x1F_2A60;
    for (value, width) in [
        (id >> 24, 2),
        (0, 1),
        (tamper.0, 2),
        (kind, 4),
        (tamper.1, 2),
        (consumption, 24),
        (id & 0xFF_FFFF, 24),
    ] {
        bits = bits << width | u128::from(value);
    }
    let bytes = (bits << 16).to_be_bytes();
    let packet = &bytes[4..];
    let sum = packet[2..10].iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x6F63 }
        })
    });
    let digits: String = packet[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{96}}{digits}{sum:04x}")
}

/// What `rtl_433` prints of the packets, a line each.
fn decoded(program: &Path, packets: &[String]) -> String {
    let mut lines = String::new();
    for packet in packets {
        let output = Command::new(program)
            .args(["-R", "149", "-F", "json", "-M", "time:iso:utc", "-y", packet])
            .output()
            .unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert!(line.contains("ERT-SCM"), "rtl_433 made of {packet}: {line:?}");
        lines.push_str(line.trim());
        lines.push('\n');
    }
    lines
}

/// Publishes each line, as a collector's pipe does.
fn publish(sender: &Path, port: u16, topic: &str, lines: &str) {
    let mut pipe = Command::new(sender)
        .args(["-p", &port.to_string(), "-q", "1", "-l", "-t", topic])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    pipe.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(pipe.wait().unwrap().success());
}

#[tokio::test]
async fn packets_that_rtl_433_decoded_are_stored_once() {
    let test = "packets_that_rtl_433_decoded_are_stored_once";
    if !has_postgres(test) {
        return;
    }
    let (Some(rtl_433), Some(sender)) = (find("rtl_433"), find("mosquitto_pub")) else {
        return skip(test, "rtl_433 or mosquitto_pub is not installed");
    };
    let Some(broker) = Mosquitto::start(test) else { return };
    let mut draw = Random::new(test);
    let ids: Vec<u64> = (0..METERS).map(|n| draw.below(1 << 24) << 2 | (n & 3)).collect();
    let mut csv =
        "meter,source,commodity,collector,field,reading_type,kind,unit,decimals,interval\n"
            .to_owned();
    for id in &ids {
        csv.push_str(&format!(
            "W-{id},ert:{id},water,C-01,consumption,volume,register,gal,0,15m\n"
        ));
    }
    let settings = Settings {
        subscriptions: vec![("amr/+/rtl_433", "rtl_433", 2)],
        // Debian's version prints UTC without saying so.
        zone: "UTC",
        ..Settings::bundles(broker.port)
    };
    let mut head_end = HeadEnd::new(&settings);
    head_end.provision(&csv);
    head_end.start();
    head_end.wait_ready();
    let stored = Stored::open(&head_end.data()).await;
    let mut packets = Vec::new();
    let mut counters: Vec<u64> = ids.iter().map(|_| draw.below(1 << 23)).collect();
    for _ in 0..ROUNDS {
        for (id, counter) in ids.iter().zip(&mut counters) {
            *counter += 1 + draw.below(50);
            packets.push(packet(*id, draw.below(16), (draw.below(4), draw.below(4)), *counter));
        }
    }
    let lines = decoded(&rtl_433, &packets);
    // Two collectors hear all of it.
    publish(&sender, broker.port, "amr/C-01/rtl_433", &lines);
    publish(&sender, broker.port, "amr/C-02/rtl_433", &lines);
    let offered = i64::try_from(2 * METERS * ROUNDS).unwrap();
    let all = async {
        let sql = "SELECT coalesce(sum(offered), 0)::int8 FROM ingest_batch";
        while stored.number(sql).await < offered {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(STORED_LIMIT, all).await;
    assert!(done.is_ok(), "not stored: {}", head_end.log_tail());
    for (id, counter) in ids.iter().zip(&counters) {
        let last = format!(
            "SELECT max(r.raw) FROM register_read r JOIN meter m USING (meter_id) \
             WHERE m.number = 'W-{id}'"
        );
        assert_eq!(stored.number(&last).await, i64::try_from(*counter).unwrap(), "ert:{id}");
    }
    let kept = stored.number("SELECT count(*) FROM register_read").await;
    let folded = stored.number("SELECT sum(folded)::int8 FROM ingest_batch").await;
    assert_eq!((kept, folded), (offered / 2, offered / 2), "{packets:?}");
    head_end.stop();
}
