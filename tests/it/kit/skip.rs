//! A skipped test is loud and counted: it prints `SKIPPED name: reason`, and `tests/run` reads the
//! same line from the file that `HEADEND_SKIP_FILE` names.

use std::io::Write as _;

/// Says that `name` was not run, and why.
pub(crate) fn skip(name: &str, reason: &str) {
    eprintln!("SKIPPED {name}: {reason}");
    #[expect(clippy::disallowed_methods, reason = "set by tests/run for the tests alone")]
    let Ok(path) = std::env::var("HEADEND_SKIP_FILE") else { return };
    let line = format!("{name}: {reason}\n");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("the skip could not be counted: {error}");
    }
}
