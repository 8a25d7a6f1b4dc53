//! Which account runs the server: PostgreSQL refuses root.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::search::Binaries;
use super::state_file::Kept;
use super::{EmbeddedOptions, LaunchError};

/// How a program of the cluster is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RunAs {
    /// As we are: we are not root.
    Us,
    /// We are root and become this account.
    Account { name: String, uid: u32, gid: u32 },
    /// We are root and no account can reach DATA: root seen as uid 1000 of a user namespace.
    Namespace,
}

impl RunAs {
    pub(super) fn word(&self) -> String {
        match self {
            Self::Us => "self".to_owned(),
            Self::Account { name, .. } => format!("account {name}"),
            Self::Namespace => "namespace".to_owned(),
        }
    }

    /// A command that runs `program` in `dir` this way, with an environment of its own.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = match self {
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
                command
            }
            Self::Us | Self::Account { .. } => Command::new(program),
        };
        if let Self::Account { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Makes a path theirs.
    pub(super) fn own(&self, path: &Path) -> Result<(), LaunchError> {
        match self {
            Self::Us => Ok(()),
            Self::Account { uid, gid, .. } => chown(path, *uid, *gid),
            Self::Namespace => chown(path, 0, 0),
        }
    }

    /// Makes a tree theirs, unless its top already is.
    fn own_tree(&self, path: &Path) -> Result<(), LaunchError> {
        let owner = match self {
            Self::Us => return Ok(()),
            Self::Account { uid, .. } => *uid,
            Self::Namespace => 0,
        };
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
        if meta.uid() == owner {
            return Ok(());
        }
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            self.own(&path)?;
            let meta = fs::symlink_metadata(&path).map_err(LaunchError::io("reading", &path))?;
            if meta.is_dir() {
                let entries = fs::read_dir(&path).map_err(LaunchError::io("reading", &path))?;
                open.extend(entries.flatten().map(|entry| entry.path()));
            }
        }
        Ok(())
    }
}

fn chown(path: &Path, uid: u32, gid: u32) -> Result<(), LaunchError> {
    // Links are not followed out of DATA: what they point at is not ours to give away.
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        .map_err(LaunchError::io("changing the owner of", path))
}

/// Chooses a way that works in DATA, the kept one first, and makes DATA theirs.
pub(super) fn choose(
    options: &EmbeddedOptions,
    binaries: &Binaries,
    kept: &Kept,
) -> Result<RunAs, LaunchError> {
    if !geteuid().is_root() {
        return Ok(RunAs::Us);
    }
    let data_dir = &options.data_dir;
    let mut ways = accounts(options)?;
    ways.push(RunAs::Namespace);
    // The way that was kept goes first; a stable sort leaves the others in order.
    ways.sort_by_key(|way| kept.run_as.as_deref() != Some(way.word().as_str()));
    for way in &ways {
        way.own(data_dir)?;
        if works(way, binaries, data_dir) {
            for name in ["pg", "pg.tmp", "run"] {
                way.own_tree(&data_dir.join(name))?;
            }
            return Ok(way.clone());
        }
    }
    RunAs::Namespace.own(data_dir)?;
    let tried = ways.iter().filter_map(|way| match way {
        RunAs::Account { name, .. } => Some(name.clone()),
        RunAs::Us | RunAs::Namespace => None,
    });
    Err(LaunchError::NoAccount {
        data_dir: data_dir.clone(),
        tried: tried.collect::<Vec<_>>().join(", "),
    })
}

/// The configured account alone, else `postgres` and `nobody` as far as they exist.
fn accounts(options: &EmbeddedOptions) -> Result<Vec<RunAs>, LaunchError> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if let Some(user) = &options.user {
        return match account(&passwd, user) {
            Some(way) => Ok(vec![way]),
            None => Err(LaunchError::UnknownAccount { user: user.clone() }),
        };
    }
    Ok(["postgres", "nobody"].iter().filter_map(|name| account(&passwd, name)).collect())
}

/// A line of the password file: `name:x:uid:gid:...`. Root is no way out.
fn account(passwd: &str, name: &str) -> Option<RunAs> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid: u32 = fields.next()?.parse().ok()?;
    let gid: u32 = fields.next()?.parse().ok()?;
    (uid != 0).then(|| RunAs::Account { name: name.to_owned(), uid, gid })
}

/// Started this way in DATA, `postgres --version` succeeds, the directory is writable and the uid
/// is not 0.
fn works(way: &RunAs, binaries: &Binaries, data_dir: &Path) -> bool {
    let version = || {
        let mut command = way.command(&binaries.program("postgres"), data_dir);
        command.arg("--version");
        succeeds(command)
    };
    let writable = || {
        let mut command = way.command(&PathBuf::from("/bin/sh"), data_dir);
        command.args(["-c", "test -w . && test \"$(id -u)\" != 0"]);
        succeeds(command)
    };
    matches!((version(), writable()), (Ok(true), Ok(true)))
}

fn succeeds(mut command: Command) -> io::Result<bool> {
    Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nbroken:x:one:2\n";

    #[test]
    fn accounts_are_read_from_the_password_file() {
        let want = RunAs::Account { name: "postgres".to_owned(), uid: 101, gid: 104 };
        assert_eq!(account(PASSWD, "postgres"), Some(want));
        assert_eq!(account(PASSWD, "root"), None);
        assert_eq!(account(PASSWD, "broken"), None);
        assert_eq!(account(PASSWD, "post"), None);
    }
}
