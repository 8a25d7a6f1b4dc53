//! Finding PostgreSQL's binaries.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{EmbeddedOptions, LaunchError};

/// A directory with `postgres` and `initdb`, links resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The first hit of the design's order. With an existing cluster only its major version counts.
pub(super) fn find(
    options: &EmbeddedOptions,
    cluster_major: Option<u32>,
) -> Result<Binaries, LaunchError> {
    if let Some(dir) = &options.pg_bin {
        let binaries =
            binaries_in(dir).ok_or_else(|| LaunchError::NotBinaries { path: dir.clone() })?;
        return match cluster_major {
            Some(cluster) if cluster != binaries.major => {
                Err(LaunchError::OtherVersion { cluster, found: told(&[binaries]) })
            }
            _ => Ok(binaries),
        };
    }
    let mut others = Vec::new();
    for dir in candidates(options) {
        let Some(binaries) = binaries_in(&dir) else { continue };
        if cluster_major.is_none_or(|major| major == binaries.major) {
            return Ok(binaries);
        }
        if !others.contains(&binaries) {
            others.push(binaries);
        }
    }
    match cluster_major {
        Some(cluster) if !others.is_empty() => {
            Err(LaunchError::OtherVersion { cluster, found: told(&others) })
        }
        _ => Err(LaunchError::NoPostgres),
    }
}

fn told(binaries: &[Binaries]) -> String {
    let each = |found: &Binaries| format!("{} ({})", found.major, found.dir.display());
    binaries.iter().map(each).collect::<Vec<_>>().join(", ")
}

fn candidates(options: &EmbeddedOptions) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Some(path) = &options.search_path {
        dirs.extend(std::env::split_paths(path).filter(|dir| dir.is_absolute()));
        dirs.extend(pg_config_bindir(path));
    }
    for root in &options.roots {
        dirs.extend(versions_below(root));
    }
    dirs.extend(versions_below(&options.data_dir.join("pgbin")));
    dirs
}

/// What `pg_config --bindir` of the search path says.
fn pg_config_bindir(path: &OsStr) -> Option<PathBuf> {
    let program = std::env::split_paths(path)
        .map(|dir| dir.join("pg_config"))
        .find(|program| program.is_file())?;
    let output = Command::new(program).arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// `ROOT/15/bin`, `ROOT/pgsql-15/bin`; compared as numbers, newest first.
fn versions_below(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let number = name.strip_prefix("pgsql-").unwrap_or(name);
            let number = number.split('.').next()?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Both programs must be in `dir`; the directory of the resolved `postgres` is the one to use: a
/// link stands outside the directory that the share files are found from.
fn binaries_in(dir: &Path) -> Option<Binaries> {
    if !dir.join("initdb").exists() {
        return None;
    }
    let postgres = dir.join("postgres").canonicalize().ok()?;
    let dir = postgres.parent()?.to_owned();
    if !dir.join("initdb").exists() {
        return None;
    }
    Some(Binaries { major: version_of(&postgres)?, dir })
}

/// `postgres (PostgreSQL) 15.20 (Debian ...)` -> 15.
fn version_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split(')').nth(1)?.split_whitespace().next()?.to_owned();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    if output.status.success() { digits.parse().ok() } else { None }
}
