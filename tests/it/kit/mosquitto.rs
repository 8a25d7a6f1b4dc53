//! A mosquitto of the test's own, with queues that hold what a stopped head-end misses.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::program::{Program, find, wait_for};
use super::skip::skip;
use super::temp::{TempDir, free_port};

#[derive(Debug)]
pub(crate) struct Mosquitto {
    pub(crate) port: u16,
    program: Program,
    _directory: TempDir,
}

impl Mosquitto {
    /// `None`, loudly, when mosquitto is not installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let Some(path) = find("mosquitto") else {
            skip(test, "mosquitto is not installed");
            return None;
        };
        let directory = TempDir::new("mosquitto");
        let port = free_port();
        let configuration = directory.path().join("mosquitto.conf");
        let store = directory.path().join("db/");
        std::fs::create_dir_all(&store).unwrap();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n\
             persistence_location {}\nautosave_interval 1\nmax_inflight_messages 3000\n\
             max_queued_messages 1000000\nmax_queued_bytes 0\n{}",
            store.display(),
            user_line(),
        );
        std::fs::write(&configuration, text).unwrap();
        let log = directory.path().join("mosquitto.log");
        let program = Program::start(Command::new(path).arg("-c").arg(&configuration), &log);
        let broker = Self { port, program, _directory: directory };
        assert!(
            wait_for(Duration::from_secs(10), || broker.is_open()),
            "mosquitto did not open its port: {}",
            broker.program.log()
        );
        Some(broker)
    }

    fn is_open(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
    }
}

/// Started as root, mosquitto would drop to an account that cannot write the test's directory.
fn user_line() -> &'static str {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    if root { "user root\n" } else { "" }
}
