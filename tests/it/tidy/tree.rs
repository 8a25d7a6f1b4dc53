//! The sources, as git would list them.

use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the project.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

const SKIPPED_DIRECTORIES: [&str; 4] = ["target", ".git", "data", "node_modules"];

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All text files with one of the endings, in the order of their paths.
pub(super) fn sources(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), endings, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources found below {}", root().display());
    found
}

fn collect(directory: &Path, endings: &[&str], found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED_DIRECTORIES.contains(&name.as_str()) {
                collect(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending))
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

/// The crate that a file belongs to; `headend` for the root package.
pub(super) fn crate_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or("");
    match first {
        "src" | "tests" => "headend",
        other => other,
    }
}

/// Panics with all findings at once, each on its line.
pub(super) fn no_findings(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
