//! The cluster's files: initdb, settings, socket directory.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::RunAs;
use super::search::Binaries;
use super::state_file::Kept;
use super::{EmbeddedOptions, LaunchError};

/// The socket's file; a socket path must stay below 108 bytes.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
const SOCKET_PATH_BYTES_MAX: usize = 107;
const GB: u64 = 1 << 30;
const MB: u64 = 1 << 20;

/// The major version of an existing cluster.
pub(super) fn major(data_dir: &Path) -> Option<u32> {
    fs::read_to_string(data_dir.join("pg/PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes the cluster in `pg.tmp` and renames it, so that an interrupted first start is repeated.
pub(super) fn create(
    options: &EmbeddedOptions,
    binaries: &Binaries,
    run_as: &RunAs,
) -> Result<(), LaunchError> {
    let data_dir = &options.data_dir;
    let (tmp, done) = (data_dir.join("pg.tmp"), data_dir.join("pg"));
    if tmp.exists() {
        tracing::info!("An interrupted first start was found: making the cluster again.");
        fs::remove_dir_all(&tmp).map_err(LaunchError::io("removing", &tmp))?;
    }
    let mut command = run_as.command(&binaries.program("initdb"), data_dir);
    command.arg("-D").arg(&tmp);
    command.args(["-U", "headend", "-A", "trust", "-E", "UTF8", "--locale=C", "-k"]);
    if options.no_sync {
        command.arg("--no-sync");
    }
    let output =
        command.output().map_err(LaunchError::io("running", &binaries.program("initdb")))?;
    if !output.status.success() {
        let mut text = output.stdout;
        text.extend_from_slice(&output.stderr);
        return Err(LaunchError::Program {
            program: "initdb",
            status: output.status.to_string(),
            tail: last_lines(&String::from_utf8_lossy(&text)),
        });
    }
    let conf = tmp.join("postgresql.conf");
    let io = LaunchError::io("writing", &conf);
    let mut file = fs::OpenOptions::new().append(true).open(&conf).map_err(&io)?;
    file.write_all(b"\ninclude 'headend.conf'\n").map_err(&io)?;
    fs::rename(&tmp, &done).map_err(LaunchError::io("renaming", &tmp))
}

/// Writes `pg/headend.conf`; edits belong to `[embedded.settings]`.
pub(super) fn write_settings(
    options: &EmbeddedOptions,
    binaries: &Binaries,
    run_as: &RunAs,
    socket_dir: &Path,
) -> Result<(), LaunchError> {
    let mut settings = usual_settings(&options.data_dir, binaries);
    settings.insert("unix_socket_directories".to_owned(), socket_dir.to_string_lossy().into());
    settings.extend(options.settings.clone());
    let mut text =
        "# Written at each start: set [embedded.settings] in headend.toml instead.\n".to_owned();
    for (key, value) in &settings {
        let sound = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if sound && !value.contains(['\n', '\r', '\0']) {
            text.push_str(&format!(
                "{key} = '{}'\n",
                value.replace('\\', "\\\\").replace('\'', "''")
            ));
        } else {
            tracing::warn!(key, "A setting of the private server cannot be written; left out.");
        }
    }
    let path = options.data_dir.join("pg/headend.conf");
    fs::write(&path, text).map_err(LaunchError::io("writing", &path))?;
    run_as.own(&path)
}

fn usual_settings(data_dir: &Path, binaries: &Binaries) -> BTreeMap<String, String> {
    let ram = ram_bytes();
    let shared_buffers = (ram / 4).clamp(128 * MB, 4 * GB) / MB;
    let free = free_bytes(data_dir);
    let (max_wal, min_wal) = if free < 80 * GB {
        // A tenth of the free space, but never so little that each batch makes a checkpoint.
        ((free / 10).clamp(256 * MB, 8 * GB), (free / 80).clamp(80 * MB, GB))
    } else {
        (8 * GB, GB)
    };
    let mut settings: BTreeMap<String, String> = [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("port", "5432"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_sync_retry", "off"),
        ("checkpoint_timeout", "15min"),
        ("checkpoint_completion_target", "0.9"),
        ("wal_compression", "on"),
        ("max_connections", "40"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("max_locks_per_transaction", "256"),
        ("autovacuum_vacuum_insert_scale_factor", "0.05"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("log_min_duration_statement", "1s"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    settings.insert("shared_buffers".to_owned(), format!("{shared_buffers}MB"));
    settings.insert("max_wal_size".to_owned(), format!("{}MB", max_wal / MB));
    settings.insert("min_wal_size".to_owned(), format!("{}MB", min_wal / MB));
    if binaries.dir.join("../lib/timescaledb.so").exists() {
        settings.insert("shared_preload_libraries".to_owned(), "timescaledb".to_owned());
    }
    settings
}

fn ram_bytes() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kb = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A directory of mode 0700 for the socket: `DATA/run`, or elsewhere when that path is too long.
pub(super) fn socket_dir(
    options: &EmbeddedOptions,
    run_as: &RunAs,
    kept: &Kept,
) -> Result<PathBuf, LaunchError> {
    let usual = options.data_dir.join("run");
    if fits(&usual) {
        private_dir(&usual, run_as)?;
        return Ok(usual);
    }
    if let Some(dir) = kept.socket_dir.as_ref().filter(|dir| fits(dir) && dir.is_dir()) {
        private_dir(dir, run_as)?;
        return Ok(dir.clone());
    }
    let base = options.runtime_dir.clone().filter(|dir| dir.is_dir());
    // The runtime directory of a login is closed to the account that root becomes.
    let base = base.filter(|_| *run_as == RunAs::Us).unwrap_or_else(|| PathBuf::from("/tmp"));
    for attempt in 0..1_000_u32 {
        let dir = base.join(format!("headend-{}-{attempt}", std::process::id()));
        // `create` fails when the name is taken, by whomever: we never use what we did not make.
        if fits(&dir) && DirBuilder::new().mode(0o700).create(&dir).is_ok() {
            run_as.own(&dir)?;
            return Ok(dir);
        }
    }
    let full = std::io::Error::other("no short enough directory for the socket");
    Err(LaunchError::Io { what: "making a directory below", path: base, source: full })
}

fn fits(dir: &Path) -> bool {
    dir.join(SOCKET).as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES_MAX
}

fn private_dir(dir: &Path, run_as: &RunAs) -> Result<(), LaunchError> {
    if !dir.is_dir() {
        DirBuilder::new().mode(0o700).create(dir).map_err(LaunchError::io("making", dir))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(LaunchError::io("closing", dir))?;
    run_as.own(dir)
}

/// The last 20 lines.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
