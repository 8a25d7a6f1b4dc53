//! Sizes: 700 lines a file at the most, 100 columns, `main.rs` 80 lines. The length of functions is
//! clippy's `too_many_lines` (70).

use super::tree::{no_findings, sources};

const FILE_LINES_MAX: usize = 700;
const COLUMNS_MAX: usize = 100;
const MAIN_LINES_MAX: usize = 80;

#[test]
fn files_stay_small() {
    let findings: Vec<String> = sources(&[".rs", ".js"])
        .iter()
        .map(|source| (source.path.clone(), source.text.lines().count()))
        .filter(|(path, lines)| *lines > if path.ends_with(".js") { 200 } else { FILE_LINES_MAX })
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect();
    no_findings("a Rust file has at most 700 lines, a script 200: split it", &findings);
}

#[test]
fn main_only_hands_over() {
    for source in sources(&["main.rs"]) {
        if source.path == "src/main.rs" {
            let lines = source.text.lines().count();
            assert!(lines <= MAIN_LINES_MAX, "src/main.rs has {lines} lines");
        }
    }
}

#[test]
fn lines_fit_the_page() {
    let mut findings = Vec::new();
    for source in sources(&[".rs"]) {
        for (number, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            let text_only = line.contains('"') || line.contains("//");
            if columns > COLUMNS_MAX && !text_only {
                findings.push(format!("{}:{} has {columns} columns", source.path, number + 1));
            }
        }
    }
    no_findings("code has at most 100 columns (texts and links may be longer)", &findings);
}
