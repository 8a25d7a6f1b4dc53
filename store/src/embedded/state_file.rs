//! `DATA/lock` keeps a second instance out; `DATA/embedded.toml` tells where the server is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::LaunchError;

/// What is kept from start to start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Kept {
    /// [`super::account::RunAs::word`].
    pub(super) run_as: Option<String>,
    pub(super) socket_dir: Option<PathBuf>,
}

/// Takes the lock for as long as the file is held.
pub(super) fn lock(data_dir: &Path, version: &str) -> Result<File, LaunchError> {
    let path = data_dir.join("lock");
    let io = LaunchError::io("locking", &path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(&io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // An unreadable holder is still a holder.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            return Err(LaunchError::Locked { data_dir: data_dir.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    let started = boot_seconds();
    file.set_len(0).map_err(&io)?;
    file.rewind().map_err(&io)?;
    writeln!(file, "pid {}, version {version}, started {started} s after boot", std::process::id())
        .map_err(&io)?;
    Ok(file)
}

/// Seconds since boot, from the kernel: this crate reads no clock.
fn boot_seconds() -> String {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    uptime.split(['.', ' ']).next().unwrap_or("?").to_owned()
}

pub(super) fn load(data_dir: &Path) -> Kept {
    let text = fs::read_to_string(path(data_dir)).unwrap_or_default();
    let value = |key: &str| text.lines().find_map(|line| parse(line, key));
    Kept { run_as: value("run_as"), socket_dir: value("socket_dir").map(PathBuf::from) }
}

pub(super) fn save(data_dir: &Path, kept: &Kept) -> Result<(), LaunchError> {
    let path = path(data_dir);
    let mut text =
        "# Written at each start of the private PostgreSQL; edits are lost.\n".to_owned();
    if let Some(run_as) = &kept.run_as {
        text.push_str(&format!("run_as = {}\n", quoted(run_as)));
    }
    if let Some(dir) = &kept.socket_dir {
        text.push_str(&format!("socket_dir = {}\n", quoted(&dir.to_string_lossy())));
    }
    fs::write(&path, text).map_err(LaunchError::io("writing", &path))
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("embedded.toml")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `key = "value"` with the escapes of [`quoted`].
fn parse(line: &str, key: &str) -> Option<String> {
    let rest = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    let body = rest.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = String::with_capacity(body.len());
    let mut escaped = false;
    for c in body.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            value.push(c);
            escaped = false;
        }
    }
    Some(value)
}

/// A connection string for a server on a socket.
pub(super) fn socket_url(socket_dir: &Path, database: &str) -> String {
    let dir = socket_dir.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
    format!("host='{dir}' port=5432 user=headend dbname={database} sslmode=disable")
}

/// The connection string of the private server that another process runs in this data directory,
/// or `None` when none runs there. For verbs that only need SQL.
pub fn running_url(data_dir: &Path) -> Option<String> {
    let file = File::open(data_dir.join("lock")).ok()?;
    let locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let socket_dir = load(data_dir).socket_dir?;
    let there = socket_dir.join(super::cluster::SOCKET).exists();
    (locked && there).then(|| socket_url(&socket_dir, super::DATABASE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_survive_the_file_and_the_url() {
        let odd = "/srv/a \"b\" \\ 'c'";
        assert_eq!(parse(&format!("socket_dir = {}", quoted(odd)), "socket_dir").unwrap(), odd);
        let url = socket_url(Path::new(odd), "headend");
        let config: tokio_postgres::Config = url.parse().unwrap();
        let host = tokio_postgres::config::Host::Unix(odd.into());
        assert_eq!(config.get_hosts(), [host]);
    }
}
