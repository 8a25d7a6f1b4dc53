//! The thread that spawns the server, waits until it is ready, restarts it when it dies and stops
//! it. It lives as long as the server: the kernel sends the death signal when this *thread* ends.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::sync::{oneshot, watch};

use super::account::{self, RunAs};
use super::search::{self, Binaries};
use super::state_file::{self, Kept, socket_url};
use super::{EmbeddedOptions, LaunchError, ServerState, cluster};

const POLL: Duration = Duration::from_millis(10);
const WATCH: Duration = Duration::from_millis(100);
/// A server that was just killed may hold its lock file so long.
const HELD_WAIT: Duration = Duration::from_secs(5);
const STOP_WAIT: Duration = Duration::from_secs(30);
const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(10);
const LOG_BYTES_MAX: u64 = 10 << 20;
const LOGS_MAX: u32 = 5;

/// Where the keeper tells what happens.
pub(super) struct Outlet {
    pub(super) state: watch::Sender<ServerState>,
    pub(super) pid: watch::Sender<Option<u32>>,
}

impl Outlet {
    fn tell(&self, state: ServerState, pid: Option<u32>) {
        self.pid.send_replace(pid);
        self.state.send_replace(state);
    }
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Started {
    socket_dir: PathBuf,
    pub(super) bin_dir: PathBuf,
}

impl Started {
    pub(super) fn url(&self, database: &str) -> String {
        socket_url(&self.socket_dir, database)
    }
}

/// Why waiting for a start ended.
enum StartFailure {
    Launch(LaunchError),
    /// Asked to stop before the server was ready.
    Stopped,
}

impl From<LaunchError> for StartFailure {
    fn from(error: LaunchError) -> Self {
        Self::Launch(error)
    }
}

/// Everything that a start needs to know.
struct Plan {
    data_dir: PathBuf,
    binaries: Binaries,
    run_as: RunAs,
    socket_dir: PathBuf,
    /// Held for life.
    _lock: File,
}

/// The thread's body.
pub(super) fn run(
    options: &EmbeddedOptions,
    ready: oneshot::Sender<Result<Started, LaunchError>>,
    stop: &Receiver<()>,
    outlet: &Outlet,
) {
    let plan = match prepare(options) {
        Ok(plan) => plan,
        Err(error) => {
            // Nobody waits any more if this fails, and nothing runs.
            let _ = ready.send(Err(error));
            return;
        }
    };
    match plan.start(stop, outlet) {
        Ok(child) => {
            let started =
                Started { socket_dir: plan.socket_dir.clone(), bin_dir: plan.binaries.dir.clone() };
            if ready.send(Ok(started)).is_ok() {
                plan.keep(child, stop, outlet);
            } else {
                plan.stop(child);
            }
        }
        Err(StartFailure::Launch(error)) => {
            let _ = ready.send(Err(error));
        }
        Err(StartFailure::Stopped) => drop(ready),
    }
    outlet.tell(ServerState::Stopped, None);
}

fn prepare(options: &EmbeddedOptions) -> Result<Plan, LaunchError> {
    // Relative paths would mean another place to the server, which changes its directory.
    let data_dir = std::path::absolute(&options.data_dir)
        .map_err(LaunchError::io("finding", &options.data_dir))?;
    let options = &EmbeddedOptions { data_dir: data_dir.clone(), ..options.clone() };
    let existing = cluster::major(&data_dir);
    // Before anything is made: without binaries nothing shall be left behind.
    let binaries = search::find(options, existing)?;
    fs::create_dir_all(&data_dir).map_err(LaunchError::io("making", &data_dir))?;
    let lock = state_file::lock(&data_dir, &options.version)?;
    let kept = state_file::load(&data_dir);
    let run_as = account::choose(options, &binaries, &kept)?;
    if existing.is_none() {
        cluster::create(options, &binaries, &run_as)?;
    }
    let socket_dir = cluster::socket_dir(options, &run_as, &kept)?;
    cluster::write_settings(options, &binaries, &run_as, &socket_dir)?;
    let kept = Kept { run_as: Some(run_as.word()), socket_dir: Some(socket_dir.clone()) };
    state_file::save(&data_dir, &kept)?;
    Ok(Plan { data_dir, binaries, run_as, socket_dir, _lock: lock })
}

impl Plan {
    /// Starts the server and waits until it answers. A server that holds the directory gets some
    /// time to go.
    fn start(&self, stop: &Receiver<()>, outlet: &Outlet) -> Result<Child, StartFailure> {
        let mut waited = Duration::ZERO;
        let mut asked = false;
        loop {
            outlet.tell(ServerState::Starting, None);
            let log_start = self.log_len();
            let mut child = self.spawn()?;
            let status = match self.wait_ready(&mut child, stop)? {
                Waited::Ready => {
                    outlet.tell(ServerState::Ready, Some(child.id()));
                    return Ok(child);
                }
                Waited::Stopped => {
                    self.stop(child);
                    return Err(StartFailure::Stopped);
                }
                Waited::Exited(status) => status,
            };
            let tail = self.log_tail(log_start);
            let held = tail.contains("postmaster.pid\" already exists")
                || tail.contains("pre-existing shared memory block");
            if !held {
                return Err(self.exited(status, &tail).into());
            }
            if waited >= HELD_WAIT {
                match self.leftover() {
                    // Our own server of a former life: ask it once more and wait as for a stop.
                    Some(pid) if !asked => {
                        asked = true;
                        signal(pid, Signal::INT);
                    }
                    Some(_) if waited < STOP_WAIT => {}
                    _ => return Err(self.held().into()),
                }
            }
            std::thread::sleep(WATCH);
            waited += WATCH;
        }
    }

    fn spawn(&self) -> Result<Child, LaunchError> {
        let path = self.log_path();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(LaunchError::io("opening", &path))?;
        let errors = log.try_clone().map_err(LaunchError::io("opening", &path))?;
        let program = self.binaries.program("postgres");
        let mut command = self.run_as.command(&program, &self.data_dir);
        command.arg("-D").arg(self.data_dir.join("pg"));
        command.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        // A terminal's Ctrl-C is for the program, which then stops the server in order.
        command.process_group(0);
        die_with_parent(&mut command);
        command.spawn().map_err(LaunchError::io("starting", &program))
    }

    /// Waits until `postmaster.pid` is our child's and says ready. Recovery may take its time.
    fn wait_ready(&self, child: &mut Child, stop: &Receiver<()>) -> Result<Waited, LaunchError> {
        let mut waited = Duration::ZERO;
        let mut told = Duration::ZERO;
        loop {
            if let Some(status) = try_wait(child)? {
                return Ok(Waited::Exited(status));
            }
            if self.is_ready(child.id()) {
                return Ok(Waited::Ready);
            }
            match stop.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(Waited::Stopped),
            }
            waited += POLL;
            if waited >= told + Duration::from_secs(5) {
                told = waited;
                tracing::info!("PostgreSQL is starting or recovering ({} s).", waited.as_secs());
            }
        }
    }

    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.pid_path()) else { return false };
        let mut lines = text.lines();
        lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid)
            && lines.nth(6).map(str::trim) == Some("ready")
    }

    /// Watches the running server until asked to stop.
    fn keep(&self, mut child: Child, stop: &Receiver<()>, outlet: &Outlet) {
        let mut pause = RESTART_WAIT_MIN;
        loop {
            match stop.recv_timeout(WATCH) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return self.stop(child),
            }
            self.rotate_log();
            match try_wait(&mut child) {
                Ok(Some(status)) => {
                    tracing::error!(%status, "PostgreSQL has died; starting it again.");
                }
                Ok(None) | Err(_) => {
                    pause = RESTART_WAIT_MIN;
                    continue;
                }
            }
            child = loop {
                outlet.tell(ServerState::Down, None);
                match stop.recv_timeout(pause) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                match self.start(stop, outlet) {
                    Ok(child) => break child,
                    Err(StartFailure::Stopped) => return,
                    Err(StartFailure::Launch(error)) => {
                        tracing::error!(%error, "PostgreSQL does not start; will try again.");
                        pause = (pause * 2).min(RESTART_WAIT_MAX);
                    }
                }
            };
            tracing::info!("PostgreSQL is ready again.");
        }
    }

    /// Fast shutdown, then an immediate one; never a kill, which would leave its children behind.
    fn stop(&self, mut child: Child) {
        for (kind, limit) in [(Signal::INT, STOP_WAIT), (Signal::QUIT, STOP_WAIT)] {
            signal_child(&child, kind);
            let mut waited = Duration::ZERO;
            while waited < limit {
                if !matches!(try_wait(&mut child), Ok(None)) {
                    return;
                }
                std::thread::sleep(POLL);
                waited += POLL;
            }
        }
        tracing::error!(pid = child.id(), "PostgreSQL does not stop; left to itself.");
    }

    fn exited(&self, status: ExitStatus, tail: &str) -> LaunchError {
        LaunchError::Program {
            program: "postgres",
            status: status.to_string(),
            tail: cluster::last_lines(tail),
        }
    }

    fn held(&self) -> LaunchError {
        LaunchError::Held { data_dir: self.data_dir.clone(), pid: self.held_pid().unwrap_or(0) }
    }

    fn held_pid(&self) -> Option<i32> {
        fs::read_to_string(self.pid_path()).ok()?.lines().next()?.trim().parse().ok()
    }

    /// The process in `postmaster.pid`, if it is alive and was started on our directory.
    fn leftover(&self) -> Option<Pid> {
        let pid = self.held_pid().and_then(Pid::from_raw)?;
        test_kill_process(pid).ok()?;
        let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
        let ours = self.data_dir.join("pg").to_string_lossy().into_owned();
        String::from_utf8_lossy(&cmdline).split('\0').any(|word| word == ours).then_some(pid)
    }

    fn pid_path(&self) -> PathBuf {
        self.data_dir.join("pg/postmaster.pid")
    }

    fn log_path(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    fn log_len(&self) -> u64 {
        fs::metadata(self.log_path()).map_or(0, |meta| meta.len())
    }

    fn log_tail(&self, from: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log_path())?;
            file.seek(SeekFrom::Start(from))?;
            let mut text = Vec::new();
            file.take(1 << 20).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        read().unwrap_or_default()
    }

    /// The server holds the file open, so it is copied and emptied (it is written by appending).
    fn rotate_log(&self) {
        if self.log_len() <= LOG_BYTES_MAX {
            return;
        }
        let path = self.log_path();
        let old = |n: u32| self.data_dir.join(format!("postgres.log.{n}"));
        let rotate = || -> std::io::Result<()> {
            for n in (1..LOGS_MAX - 1).rev() {
                rename_if_there(&old(n), &old(n + 1))?;
            }
            fs::copy(&path, old(1))?;
            OpenOptions::new().write(true).open(&path)?.set_len(0)
        };
        if let Err(error) = rotate() {
            tracing::warn!(%error, "Could not rotate the log of PostgreSQL.");
        }
    }
}

enum Waited {
    Ready,
    Exited(ExitStatus),
    Stopped,
}

fn try_wait(child: &mut Child) -> Result<Option<ExitStatus>, LaunchError> {
    child.try_wait().map_err(LaunchError::io("waiting for", Path::new("postgres")))
}

fn rename_if_there(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.exists() { fs::rename(from, to) } else { Ok(()) }
}

fn signal_child(child: &Child, kind: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        signal(pid, kind);
    }
}

fn signal(pid: Pid, kind: Signal) {
    if let Err(error) = kill_process(pid, kind) {
        tracing::debug!(%error, "The server was gone before the signal.");
    }
}

/// A killed parent gives the server a fast shutdown (Linux only).
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pre_exec: the only way to set a signal before the program runs")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::INT))?;
        // The parent may have died between fork and the line above.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: the hook makes two system calls, allocates nothing and takes no lock, as is required
    // between fork and exec of a threaded program.
    unsafe {
        command.pre_exec(hook);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
