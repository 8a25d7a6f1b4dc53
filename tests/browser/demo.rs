//! A demo to look at: the program as built, with a database that the test can ask.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::kit::program::{Program, find, has_postgres, wait_for};
use crate::kit::skip::skip;
use crate::kit::temp::{TempDir, free_port};
use crate::webdriver::http;

const LIVE_LIMIT: Duration = Duration::from_secs(180);

/// Demos and browsers load the machine: one at a time.
pub(crate) static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) port: u16,
    program: Program,
    directory: TempDir,
}

impl Demo {
    /// Living, its history told. `None` after saying that the test is skipped.
    pub(crate) fn start(test: &str, seconds: u64) -> Option<Self> {
        Self::start_with(test, seconds, 60)
    }

    /// The same with so many meters.
    pub(crate) fn start_with(test: &str, seconds: u64, meters: u32) -> Option<Self> {
        for needed in ["chromedriver", "chromium"] {
            if find(needed).is_none() {
                skip(test, &format!("{needed} is not installed"));
                return None;
            }
        }
        if !has_postgres(test) {
            return None;
        }
        let directory = TempDir::new("browser-demo");
        let port = free_port();
        let mut command = Command::new(built());
        command
            .args(["demo", "--meters", &meters.to_string(), "--seed", "7"])
            .args(["--for", &format!("{seconds}s")])
            .args(["--port", &port.to_string(), "--data-dir", "data"])
            .current_dir(directory.path());
        let log = directory.path().join("demo.log");
        let mut demo = Self { port, program: Program::start(&mut command, &log), directory };
        let live = wait_for(LIVE_LIMIT, || {
            assert!(demo.program.is_running(), "the demo ended: {}", demo.program.log());
            demo.program.log().contains("live now")
        });
        assert!(live, "the demo does not go live: {}", demo.program.log());
        Some(demo)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The JSON of the API.
    pub(crate) fn api(&self, path: &str) -> serde_json::Value {
        http(self.port, "GET", &format!("/api/v1{path}"), "")
    }

    /// One number from its database.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let kept = std::fs::read_to_string(self.directory.path().join("data/embedded.toml"));
        let kept = kept.unwrap();
        let directory = kept.lines().find_map(|line| line.strip_prefix("socket_dir = \"")).unwrap();
        let url = format!("host={} user=headend dbname=headend", directory.trim_end_matches('"'));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, driver) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(driver);
            client.query_one(sql, &[]).await.unwrap().get(0)
        })
    }

    /// SIGTERM, and the wait for its end.
    pub(crate) fn stop(&mut self) {
        self.program.signal("TERM");
        assert!(self.program.wait(Duration::from_secs(10)).is_some(), "the demo does not stop");
    }
}

/// The program beside the tests: `cargo test --workspace` builds it first.
pub(crate) fn built() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap_or(Path::new(".")).join("headend");
    assert!(path.exists(), "{} is not built: cargo build", path.display());
    path
}
