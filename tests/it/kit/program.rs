//! Child processes that never outlive their test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program started by a test; killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with both outputs in `log` (appended).
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: no chance to tidy up.
    pub(crate) fn kill_hard(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, for example `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        signal_all(&[self.pid()], name);
    }

    /// Waits for the end; `None` when it did not come in time.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        wait_for(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_hard();
    }
}

/// Sends a signal by name to processes that may be gone already.
pub(crate) fn signal_all(pids: &[u32], name: &str) {
    let pids = pids.iter().map(u32::to_string);
    let sent =
        Command::new("kill").arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status();
    assert!(sent.is_ok(), "cannot run kill");
}

/// Polls until the state is reached; false when the limit passes first.
#[expect(clippy::disallowed_methods, reason = "a test waits for a state with a deadline")]
pub(crate) fn wait_for(limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if reached() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where a program is, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
}

/// False, loudly, when no PostgreSQL is installed.
pub(crate) fn has_postgres(test: &str) -> bool {
    let there =
        std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut dirs| dirs.next().is_some());
    if !there {
        super::skip::skip(test, "no PostgreSQL binaries");
    }
    there
}
