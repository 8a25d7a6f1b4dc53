//! The environment of the process. Nothing else in the program reads it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Environment variables, read once at the start. Names and values that are not UTF-8 are left
/// out: no key of ours needs them.
#[derive(Clone, Default, Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// What the system calls the user of this process.
    user: Option<String>,
}

impl Environment {
    /// The environment that this process was started with.
    pub fn of_process() -> Self {
        let text = |word: std::ffi::OsString| word.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self { variables: variables.collect(), user: user_of_process() }
    }

    /// The value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.variables.range(prefix.to_owned()..);
        from.take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A file that systemd's `LoadCredential=` put there, when it exists.
    pub(super) fn credential(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(self.get("CREDENTIALS_DIRECTORY")?).join(name);
        path.is_file().then_some(path)
    }

    /// The account that runs this program, for histories.
    pub fn account(&self) -> &str {
        let told = self.get("USER").or_else(|| self.get("LOGNAME"));
        told.or(self.user.as_deref()).unwrap_or("operator")
    }

    /// `NO_COLOR` (no-color.org): any value that is not empty turns colour off.
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }
}

/// Services and containers often set neither `USER` nor `LOGNAME`.
fn user_of_process() -> Option<String> {
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(uid, &known).map_or_else(|| format!("uid {uid}"), str::to_owned))
}

/// The name of a user in the lines of `passwd(5)`: `name:password:uid:...`.
fn name_of(uid: u32, passwd: &str) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { variables: pairs.into_iter().map(own).collect(), user: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_user_the_account_is_that_of_the_process() {
        let passwd = "root:x:0:0:::\nbroken\nada:x:1000:1000:::\n";
        assert_eq!(name_of(0, passwd), Some("root"));
        assert_eq!(name_of(1000, passwd), Some("ada"));
        assert_eq!(name_of(7, passwd), None);
        let user = Some("ada".to_owned());
        let bare = Environment { variables: BTreeMap::new(), user };
        assert_eq!(bare.account(), "ada");
        assert_eq!(Environment::from([("USER", "eve")]).account(), "eve");
    }
}
