//! The demo's broker: `rumqttd`, inside this process, on a free loopback port.
//!
//! For the demo and simulators only, never for durability tests: it keeps messages in memory, and
//! with small segments a slow subscriber loses some. The segments here hold a gigabyte.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

const SEGMENT_BYTES: usize = 100 << 20;
const SEGMENTS: usize = 10;
const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Starts the broker and returns its port once it accepts connections.
///
/// # Errors
/// No free port, or the broker did not come up within five seconds.
pub fn start() -> io::Result<u16> {
    let port = free_port()?;
    let mut broker = Broker::new(config(port));
    thread::Builder::new().name("demo-broker".to_owned()).spawn(move || {
        if let Err(error) = broker.start() {
            tracing::error!(%error, "The demo's broker stopped.");
        }
    })?;
    wait_until_open(port)?;
    Ok(port)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
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

fn config(port: u16) -> Config {
    let server = ServerSettings {
        name: "demo-v5".to_owned(),
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
        v5: Some(HashMap::from([("demo".to_owned(), server)])),
        ..Config::default()
    }
}
