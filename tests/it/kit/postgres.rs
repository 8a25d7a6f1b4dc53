//! Hands on the private PostgreSQL of a head-end: freeze it, thaw it, kill it.

use std::path::{Path, PathBuf};

use super::program::signal_all;

/// By its data directory.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pid_file: PathBuf,
}

impl Postgres {
    pub(super) fn of(data: &Path) -> Self {
        Self { pid_file: data.join("pg/postmaster.pid") }
    }

    /// The postmaster's process.
    pub(crate) fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(&self.pid_file).ok()?.lines().next()?.trim().parse().ok()
    }

    /// Stops all its processes where they are: connections stay, nothing answers.
    pub(crate) fn freeze(&self) -> Frozen {
        let postmaster = self.pid().unwrap();
        // First the one that could start others.
        signal_all(&[postmaster], "STOP");
        let mut pids = children_of(postmaster);
        signal_all(&pids, "STOP");
        pids.push(postmaster);
        Frozen { pids }
    }

    /// SIGKILL for the postmaster; its children find out and end.
    pub(crate) fn kill_hard(&self) {
        signal_all(&[self.pid().unwrap()], "KILL");
    }
}

/// A frozen server; goes on when dropped.
#[derive(Debug)]
pub(crate) struct Frozen {
    pids: Vec<u32>,
}

impl Frozen {
    /// SIGKILL for all of its processes.
    pub(crate) fn kill_hard(mut self) {
        signal_all(&std::mem::take(&mut self.pids), "KILL");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal_all(&self.pids, "CONT");
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // `pid (name) state parent ...`; a name may hold blanks.
            let after = stat.rsplit(')').next().unwrap_or_default();
            after.split_whitespace().nth(1).and_then(|text| text.parse().ok()) == Some(parent)
        })
        .collect()
}
