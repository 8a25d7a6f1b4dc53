//! CPU time of this process and of PostgreSQL, and the speed of the disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;

/// The kernel counts in hundredths of a second on every Linux that we run on.
const TICKS_A_SECOND: u64 = 100;

/// CPU time of this process so far.
pub(super) fn of_this_process() -> Duration {
    ticks("/proc/self/stat").map_or(Duration::ZERO, to_duration)
}

/// CPU time so far of a process and of its living and ended children.
pub(super) fn of_family(parent: u32) -> Duration {
    let mut total = family_ticks(&format!("/proc/{parent}/stat"), true);
    if let Ok(entries) = fs::read_dir("/proc") {
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
                && parent_of(&entry.path().join("stat")) == Some(parent)
            {
                total += family_ticks(&entry.path().join("stat").to_string_lossy(), false);
            }
        }
    }
    to_duration(total)
}

fn to_duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND)
}

/// The fields of a stat file behind the program's name, which may hold spaces: field 3 is first.
fn fields(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.rsplit_once(')')?.1;
    Some(rest.split_whitespace().map(ToOwned::to_owned).collect())
}

fn parent_of(path: &Path) -> Option<u32> {
    fields(path)?.get(1)?.parse().ok()
}

fn ticks(path: &str) -> Option<u64> {
    let fields = fields(Path::new(path))?;
    let at = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    Some(at(11)? + at(12)?)
}

fn family_ticks(path: &str, with_ended: bool) -> u64 {
    let Some(fields) = fields(Path::new(path)) else { return 0 };
    let at = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    let own = at(11).unwrap_or(0) + at(12).unwrap_or(0);
    let ended = at(13).unwrap_or(0) + at(14).unwrap_or(0);
    if with_ended { own + ended } else { own }
}

/// Memory of this process that is in RAM, in MiB.
pub(super) fn resident_mib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

/// Median seconds of an 8 kB write with fsync.
///
/// # Errors
/// The directory cannot be written.
pub(super) fn sync_write_s(place: &Path, clock: &dyn Clock) -> std::io::Result<f64> {
    let path = place.join("sync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = clock.monotonic();
        file.write_all(&[7; 8_192])?;
        file.sync_data()?;
        times.push(clock.monotonic().saturating_sub(start));
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64())
}
