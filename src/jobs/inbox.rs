//! The drop folder: files of readings that others put there are imported, and moved when that is
//! durable.
//!
//! `inbox/` takes kinds that their first bytes tell; `inbox/NAME/` those of a format or a layout of that
//! name. A file is taken once its size and time stood still between two looks; names that begin
//! with a dot or end in `.part` or `.tmp` are left alone. It moves to `done/`, or to `failed/`
//! with a `.errors.txt` beside it, or a `.waits.txt` when it was taken and devices of it are no
//! meters yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use store::ReplayFilter;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::ingest::files::{FileOutcome, FileReport, Upload};
use crate::services::files::Files;

const EVERY: Duration = Duration::from_secs(2);
/// Dead letters of files are told again so many looks apart.
const REPLAY_LOOKS: u32 = 15;
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Where files are dropped, and who imports them.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// `None`: nobody drops files here; dead letters of files are told again all the same.
    pub dir: Option<PathBuf>,
    pub files: Files,
}

/// What a file looked like when it was last looked at.
type Look = (u64, Option<SystemTime>);

/// Watches the folder until told to stop.
pub async fn run(inbox: Inbox, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    let mut seen: HashMap<PathBuf, Look> = HashMap::new();
    let known = ReplayFilter { provisioned: true, ..ReplayFilter::default() };
    let mut looks = 0;
    while !*stop.borrow() {
        if let Some(dir) = &inbox.dir {
            look(&inbox.files, dir, &mut seen, clock.as_ref()).await;
        }
        if looks % REPLAY_LOOKS == 0
            && let Err(error) = inbox.files.replay(&known).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "No replay of files.");
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn look(files: &Files, dir: &Path, seen: &mut HashMap<PathBuf, Look>, clock: &dyn Clock) {
    let mut now: HashMap<PathBuf, Look> = HashMap::new();
    for (path, folder) in waiting(dir) {
        let Ok(facts) = std::fs::metadata(&path) else { continue };
        let look = (facts.len(), facts.modified().ok());
        if seen.get(&path) != Some(&look) {
            now.insert(path, look);
            continue;
        }
        if let Err(error) = take(files, dir, (&path, &folder), clock).await {
            tracing::warn!(file = %path.display(), error = format!("{error:#}"),
                "A file could not be imported yet; it stays in the inbox.");
            now.insert(path, look);
        }
    }
    *seen = now;
}

/// Files that wait, with the name of the folder they are in.
fn waiting(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries(dir) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() && is_ready(&name) {
            found.push((entry.path(), String::new()));
        } else if kind.is_dir() && !["done", "failed"].contains(&name.as_str()) {
            for inner in entries(&entry.path()) {
                let is_file = inner.file_type().is_ok_and(|kind| kind.is_file());
                if is_file && is_ready(&inner.file_name().to_string_lossy()) {
                    found.push((inner.path(), name.clone()));
                }
            }
        }
    }
    found.sort();
    found
}

fn is_ready(name: &str) -> bool {
    let suffix = Path::new(name).extension().and_then(|suffix| suffix.to_str()).unwrap_or("");
    !name.starts_with('.') && !["part", "tmp", "filepart"].contains(&suffix)
}

/// Imports one file, then moves it.
async fn take(
    files: &Files,
    dir: &Path,
    (path, folder): (&Path, &str),
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let reports = match files.options(folder) {
        Err(what) => Err(format!("the folder `{folder}`: {what}")),
        Ok(options) => {
            if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
                Err("it is larger than 1 GiB: split it".to_owned())
            } else {
                let from = path.to_owned();
                let bytes = tokio::task::spawn_blocking(move || std::fs::read(from)).await??;
                let actor = "inbox".to_owned();
                let upload = Upload { name: name.clone(), bytes: bytes.into(), actor };
                Ok(files.import(&upload, &options, &mut |_, _| {}).await?)
            }
        }
    };
    let errors = match &reports {
        Err(what) => what.clone() + "\n",
        Ok(reports) => reports.iter().map(errors_of).collect(),
    };
    // Readings that wait for their meters are no error.
    let kind = match &reports {
        Ok(reports) if reports.iter().all(is_faultless) => "waits",
        _ => "errors",
    };
    let failed = match &reports {
        Err(_) => true,
        Ok(reports) => reports.iter().any(|r| matches!(r.outcome, FileOutcome::Refused(_))),
    };
    let target = dir.join(if failed { "failed" } else { "done" });
    std::fs::create_dir_all(&target)?;
    let stamp = clock.now().to_string().replace(':', "");
    let moved = target.join(format!("{stamp}_{name}"));
    if !errors.is_empty() {
        std::fs::write(target.join(format!("{stamp}_{name}.{kind}.txt")), errors)?;
    }
    // Within one file system, so that it is there or here and never half.
    std::fs::rename(path, &moved)?;
    let (file, failed) = (moved.display().to_string(), failed);
    tracing::info!(file, failed, "Imported a file of the inbox.");
    Ok(())
}

fn is_faultless(report: &FileReport) -> bool {
    report.faults.is_empty() && !matches!(report.outcome, FileOutcome::Refused(_))
}

fn errors_of(report: &FileReport) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if let FileOutcome::Refused(detail) = &report.outcome {
        let _ = writeln!(text, "{}: refused: {detail}", report.name);
    }
    for fault in &report.faults {
        let (line, reason) = (fault.line, &fault.reason);
        let _ = writeln!(text, "{}:{line}: {reason}: {}", report.name, fault.detail);
    }
    for unknown in &report.unknown {
        let _ = writeln!(text, "{}: {unknown} is not provisioned", report.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_hidden_files_wait() {
        assert!(is_ready("a.csv") && is_ready("a"));
        for name in [".a.csv", "a.part", "a.tmp", "a.csv.filepart"] {
            assert!(!is_ready(name), "{name}");
        }
    }
}
