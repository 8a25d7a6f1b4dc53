//! The environment of the process. Nothing else in the program reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Environment variables, read once at the start. Names and values that are not UTF-8 are left
/// out: no key of ours needs them.
#[derive(Clone, Default, Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The environment that this process was started with.
    pub fn of_process() -> Self {
        let text = |word: std::ffi::OsString| word.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self { variables: variables.collect() }
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
        self.get("USER").or_else(|| self.get("LOGNAME")).unwrap_or("operator")
    }

    /// `NO_COLOR` (no-color.org): any value that is not empty turns colour off.
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { variables: pairs.into_iter().map(own).collect() }
    }
}
