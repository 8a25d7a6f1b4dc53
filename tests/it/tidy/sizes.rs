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
        let texts = lines_with_text(&source.text);
        for (number, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX && !texts[number] {
                findings.push(format!("{}:{} has {columns} columns", source.path, number + 1));
            }
        }
    }
    no_findings("code has at most 100 columns (texts and links may be longer)", &findings);
}

/// Where the scanner is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    Text,
    /// With so many `#`.
    RawText(usize),
    Comment,
}

/// For each line: whether a part of it is a text or a comment, which nobody can break.
fn lines_with_text(source: &str) -> Vec<bool> {
    let mut place = Place::Code;
    source
        .lines()
        .map(|line| {
            let mut has_text = place != Place::Code;
            let mut rest = line;
            while !rest.is_empty() {
                let (next, length) = step(place, rest);
                has_text |= next != Place::Code;
                place = next;
                rest = &rest[length..];
            }
            if place == Place::Comment {
                place = Place::Code;
            }
            has_text
        })
        .collect()
}

/// The place after the next token, and the token's length in bytes.
fn step(place: Place, rest: &str) -> (Place, usize) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    match place {
        Place::Comment => (place, rest.len()),
        Place::Text if rest.starts_with('\\') => {
            (place, rest.chars().take(2).map(char::len_utf8).sum())
        }
        Place::Text if rest.starts_with('"') => (Place::Code, 1),
        Place::RawText(hashes) if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => {
            (Place::Code, 1 + hashes)
        }
        Place::Code if rest.starts_with("//") => (Place::Comment, rest.len()),
        Place::Code if rest.starts_with('"') => (Place::Text, 1),
        Place::Code if rest.starts_with("'\"'") => (place, 3),
        Place::Code if rest.starts_with("'\\") => (place, 3),
        Place::Code if rest.starts_with("r\"") || rest.starts_with("r#") => {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let opens = rest[1 + hashes..].starts_with('"');
            if opens { (Place::RawText(hashes), 2 + hashes) } else { (place, 1) }
        }
        _ => (place, first),
    }
}

#[test]
fn the_scanner_knows_code_from_text() {
    let source =
        "let a = 1;\nlet b = \"x\n y\";\nlet c = r#\"\n\"\n\"#;\nlet d = '\"';\n// e\nf();";
    let texts = lines_with_text(source);
    assert_eq!(texts, [false, true, true, true, true, true, false, true, false]);
}
