//! The built program as a child process, serving from a directory of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::http;
use super::postgres::Postgres;
use super::program::{Program, wait_for};
use super::temp::{TempDir, free_port};

/// A first start makes the database; a loaded machine takes its time.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a test sets; all else has the values of `headend config sample`.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) broker_port: u16,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_bytes_max: String,
    /// Topic filter, format, level of the collector.
    pub(crate) subscriptions: Vec<(&'static str, &'static str, u8)>,
    /// Zone of stamps without one.
    pub(crate) zone: &'static str,
}

impl Settings {
    pub(crate) fn bundles(broker_port: u16) -> Self {
        Self {
            broker_port,
            receive_maximum: 1_000,
            packet_bytes_max: "4MiB".to_owned(),
            subscriptions: vec![("ami/up/#", "bundle", 0)],
            zone: "",
        }
    }

    fn text(&self, console: u16) -> String {
        let mut text = format!(
            "[utility]\nname = \"Test utility\"\nzone = \"UTC\"\n\
             [data]\ndir = \"data\"\n\
             [console]\nlisten = \"127.0.0.1:{console}\"\n\
             [log]\nformat = \"json\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nclient_id = \"headend-test\"\n\
             receive_maximum = {}\npacket_bytes_max = \"{}\"\n",
            self.broker_port, self.receive_maximum, self.packet_bytes_max
        );
        for (filter, format, level) in &self.subscriptions {
            let _ = write!(
                text,
                "[[mqtt.subscriptions]]\nfilter = \"{filter}\"\nformat = \"{format}\"\n\
                 zone = \"{}\"\ncollector_level = {level}\n",
                self.zone
            );
        }
        text
    }
}

/// A head-end with a private database below its directory.
#[derive(Debug)]
pub(crate) struct HeadEnd {
    pub(crate) console: u16,
    program: Option<Program>,
    directory: TempDir,
}

impl HeadEnd {
    /// Nothing runs yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let directory = TempDir::new("headend");
        let console = free_port();
        std::fs::write(directory.path().join("headend.toml"), settings.text(console)).unwrap();
        Self { console, program: None, directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
        command
            .args(args)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `meters provision` with the text; panics with the program's words when it refuses.
    pub(crate) fn provision(&self, csv: &str) {
        std::fs::write(self.directory.path().join("meters.csv"), csv).unwrap();
        let done = self.run(&["meters", "provision", "meters.csv"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub(crate) fn start(&mut self) {
        let log = self.directory.path().join("headend.log");
        let program = Program::start(&mut self.command(&["serve"]), &log);
        self.program = Some(program);
    }

    /// Waits until `/readyz` says so.
    pub(crate) fn wait_ready(&mut self) {
        let console = self.console;
        let ready = wait_for(READY_LIMIT, || {
            assert!(self.is_running(), "the head-end ended: {}", self.log_tail());
            http::get(console, "/readyz").is_some_and(|(status, _)| status == 200)
        });
        assert!(ready, "not ready: {:?}\n{}", http::get(console, "/readyz"), self.log_tail());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.program.as_mut().is_some_and(Program::is_running)
    }

    pub(crate) fn kill_hard(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.kill_hard();
        }
    }

    /// SIGTERM, and the wait for an orderly end.
    pub(crate) fn stop(&mut self) {
        let Some(mut program) = self.program.take() else { return };
        program.signal("TERM");
        let status = program.wait(Duration::from_secs(20));
        assert!(status.is_some_and(|s| s.success()), "did not stop in order: {status:?}");
    }

    /// Its private PostgreSQL.
    pub(crate) fn postgres(&self) -> Postgres {
        Postgres::of(&self.data())
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join("headend.log"));
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for HeadEnd {
    fn drop(&mut self) {
        self.kill_hard();
        // The kernel stops the private server with its parent; its files go when it has ended.
        let pid_file = self.data().join("pg/postmaster.pid");
        wait_for(Duration::from_secs(10), || !pid_file.exists());
    }
}
