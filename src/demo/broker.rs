//! The demo's broker: `rumqttd`, inside this process, on a free loopback port.
//!
//! For the demo and simulators only, never for durability tests: it keeps messages in memory, and
//! with small segments a slow subscriber loses some. The segments here hold a gigabyte.
//!
//! It speaks MQTT 3.1.1 and MQTT 5 at two ports. [`door`] is one port for both: it looks which of
//! them a client speaks, and hands the connection on.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net;
use tokio::sync::watch;
use tokio::time::timeout;

const SEGMENT_BYTES: usize = 100 << 20;
const SEGMENTS: usize = 10;
const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Where clients usually look for a broker.
const USUAL_PORT: u16 = 1883;
/// A client that says nothing for so long is sent away.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// Largest head of a CONNECT that is looked at: its type, a length of up to 4 bytes, the name
/// `MQTT` with its own length, and the version (MQTT 3.1.1 and 5.0, 3.1.2).
const HELLO_BYTES: usize = 1 + 4 + 6 + 1;

/// A broker's ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ports {
    pub v5: u16,
    pub v4: u16,
}

/// Starts the broker and returns its port of MQTT 5 once it accepts connections.
///
/// # Errors
/// No free port, or the broker did not come up within five seconds.
pub fn start() -> io::Result<u16> {
    Ok(start_both()?.v5)
}

/// As [`start`], with the port of MQTT 3.1.1.
///
/// # Errors
/// As [`start`].
pub(super) fn start_both() -> io::Result<Ports> {
    // Both are held until both are known, or they might be the same.
    let (one, other) = (free_port()?, free_port()?);
    let ports = Ports { v5: one.local_addr()?.port(), v4: other.local_addr()?.port() };
    drop((one, other));
    let mut broker = Broker::new(config(ports));
    thread::Builder::new().name("demo-broker".to_owned()).spawn(move || {
        if let Err(error) = broker.start() {
            tracing::error!(%error, "The demo's broker stopped.");
        }
    })?;
    wait_until_open(ports.v5)?;
    wait_until_open(ports.v4)?;
    Ok(ports)
}

/// One port for clients of either version, the usual one if nobody has it; served until `stop`
/// holds true.
///
/// # Errors
/// No port is free.
pub(super) async fn door(ports: Ports, mut stop: watch::Receiver<bool>) -> io::Result<u16> {
    let listener = match net::TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)).await {
        Ok(listener) => listener,
        Err(_) => net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
    };
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        loop {
            let client = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            if let Ok((client, _)) = client {
                tokio::spawn(let_in(client, ports));
            }
        }
    });
    Ok(port)
}

async fn let_in(mut client: net::TcpStream, ports: Ports) {
    let port = match timeout(HELLO_WAIT, version(&client)).await {
        Ok(Some(5)) => ports.v5,
        // Of an older version: the broker itself says that it does not speak it.
        Ok(Some(_)) => ports.v4,
        Ok(None) | Err(_) => return,
    };
    if let Ok(mut broker) = net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        // Either side may end it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
    }
}

/// The version in the first packet, which is left unread; `None`: it is no CONNECT.
async fn version(client: &net::TcpStream) -> Option<u8> {
    let mut hello = [0; HELLO_BYTES];
    loop {
        let read = client.peek(&mut hello).await.ok().filter(|read| *read > 0)?;
        let bytes = &hello[..read];
        if bytes[0] != 0x10 {
            return None;
        }
        // The length ends with the first byte below 0x80.
        let length = bytes[1..].iter().take(4).position(|byte| *byte < 0x80);
        // Behind it the protocol's name: two bytes of length, `MQTT`.
        if let Some(version) = length.and_then(|at| bytes.get(1 + at + 1 + 6)) {
            return Some(*version);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn free_port() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn wait_until_open(port: u16) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for _ in 0..500 {
        if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the demo's broker did not open its port"))
}

fn config(ports: Ports) -> Config {
    let server = |name: &str, port: u16| ServerSettings {
        name: name.to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: PAYLOAD_BYTES_MAX,
            max_inflight_count: 1_000,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    Config {
        id: 0,
        router: RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 1_000,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("v5".to_owned(), server("demo-v5", ports.v5))])),
        v4: Some(HashMap::from([("v4".to_owned(), server("demo-v4", ports.v4))])),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::v5;

    use super::*;

    /// A message that `publish` sends at the door comes to a head-end, which speaks MQTT 5.
    #[tokio::test]
    async fn the_door_lets_clients_of_both_versions_in() {
        let ports = start_both().unwrap();
        let (stop, stopped) = watch::channel(false);
        let port = door(ports, stopped).await.unwrap();
        let options = v5::MqttOptions::new("head-end", "127.0.0.1", ports.v5);
        let (reader, mut events) = v5::AsyncClient::new(options, 10);
        reader.subscribe("ami/#", v5::mqttbytes::QoS::AtLeastOnce).await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::channel(10);
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                let said = match event {
                    v5::Event::Incoming(v5::Incoming::Publish(message)) => {
                        String::from_utf8(message.payload.to_vec()).unwrap()
                    }
                    v5::Event::Incoming(v5::Incoming::SubAck(_)) => "subscribed".to_owned(),
                    _ => continue,
                };
                if tell.send(said).await.is_err() {
                    break;
                }
            }
        });
        assert_eq!(told.recv().await.as_deref(), Some("subscribed"));

        let options = rumqttc::MqttOptions::new("old", "127.0.0.1", port);
        let (old, mut events) = rumqttc::AsyncClient::new(options, 10);
        old.publish("ami/up/1", rumqttc::QoS::AtLeastOnce, false, "3.1.1").await.unwrap();
        tokio::spawn(async move { while events.poll().await.is_ok() {} });
        let options = v5::MqttOptions::new("new", "127.0.0.1", port);
        let (new, mut events) = v5::AsyncClient::new(options, 10);
        new.publish("ami/up/2", v5::mqttbytes::QoS::AtLeastOnce, false, "5").await.unwrap();
        tokio::spawn(async move { while events.poll().await.is_ok() {} });
        let mut both = Vec::new();
        while both.len() < 2 {
            let next = timeout(Duration::from_secs(20), told.recv()).await;
            both.extend(next.expect("a message was lost"));
        }
        both.sort();
        assert_eq!(both, ["3.1.1", "5"]);
        stop.send_replace(true);
    }
}
