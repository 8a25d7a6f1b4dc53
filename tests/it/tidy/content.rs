//! What may not stand in a source.

use super::tree::{crate_of, no_findings, root, sources};

fn findings(
    endings: &[&str],
    concerns: impl Fn(&str) -> bool,
    bad: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(endings) {
        if source.path.starts_with("tests/it/tidy/") || !concerns(&source.path) {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            if bad(line) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("tests/")
        || path.contains("tests.rs")
        || path.contains("testing")
}

#[test]
fn only_store_speaks_sql() {
    const STATEMENTS: [&str; 6] =
        ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "COPY "];
    let found = findings(
        &[".rs"],
        |path| crate_of(path) != "store" && !is_test(path),
        |line| {
            let code = line.split("//").next().unwrap_or("");
            STATEMENTS.iter().any(|statement| {
                code.contains(&format!("\"{statement}")) || code.trim_start().starts_with(statement)
            })
        },
    );
    no_findings("only `store` speaks SQL", &found);
}

#[test]
fn pure_crates_read_no_clock_no_environment_and_no_randomness() {
    const BAD: [&str; 6] = [
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
        "env::var",
        "thread_rng",
        "Zoned::now",
    ];
    let pure = ["metering", "vee", "alerts", "simulators"];
    let found = findings(
        &[".rs"],
        |path| pure.contains(&crate_of(path)),
        |line| {
            let code = line.split("//").next().unwrap_or("");
            // Tests of vectors that lie beside the project tell where they were skipped.
            let tells_skip = code.contains("\"HEADEND_SKIP_FILE\"");
            !tells_skip && BAD.iter().any(|bad| code.contains(bad))
        },
    );
    no_findings("pure crates take `now` and seeds as arguments", &found);
}

#[test]
fn domain_types_do_not_serialise_themselves() {
    let pure = ["metering", "vee", "alerts"];
    let found = findings(
        &[".rs"],
        |path| pure.contains(&crate_of(path)),
        |line| line.contains("Serialize") || line.contains("serde::"),
    );
    no_findings("serde only at the edges", &found);
}

#[test]
fn nothing_is_left_to_do() {
    let found = findings(
        &[".rs", ".js", ".html", ".css"],
        |_| true,
        |line| {
            ["todo!(", "unimplemented!(", "#[allow(", "#![allow(", "TODO", "FIXME", "XXX"]
                .iter()
                .any(|bad| line.contains(bad))
        },
    );
    no_findings("no stub, no allowance without a reason, no note to ourselves", &found);
}

#[test]
fn unsafe_code_stands_in_one_place() {
    // The fuzz test watches its own allocator, which no safe code can.
    let counts = |path: &str| path != "protocols/tests/fuzz/allocation.rs";
    let found: Vec<String> = findings(&[".rs"], counts, |line| line.contains("expect(unsafe_code"));
    assert!(found.len() <= 1, "one exemption in the tree, found:\n{}", found.join("\n"));
}

#[test]
fn pages_hold_no_inline_code_and_ask_no_other_host() {
    let found = findings(
        &[".html", ".js", ".css"],
        |path| path.starts_with("src/"),
        |line| {
            let lower = line.to_lowercase();
            lower.contains(" style=\"")
                || lower.contains(" onclick=")
                || lower.contains("javascript:")
                || lower.contains("<script>")
                || (lower.contains("http://") && !lower.contains("www.w3.org"))
                || (lower.contains("https://") && !lower.contains("www.w3.org"))
        },
    );
    no_findings("no inline style or script, nothing from another host", &found);
}

#[test]
fn no_path_of_a_machine_stands_in_the_project() {
    let found = findings(
        &[".rs", ".toml", ".md", ".html", ".js", ".service", ".sql", "run"],
        |_| true,
        |line| ["/work/", "/home/", "/root/"].iter().any(|bad| line.contains(bad)),
    );
    no_findings("paths of one machine", &found);
}

#[test]
fn the_way_of_one_reading_can_be_opened() {
    let steps = [
        "protocols/src/mqtt/driver.rs",
        "protocols/src/amr/mod.rs",
        "src/ingest/normalise.rs",
        "vee/src/validate.rs",
        "store/src/readings.rs",
        "src/ingest/ack.rs",
        "alerts/src/engine.rs",
        "alerts/src/classify.rs",
        "src/jobs/issues.rs",
        "src/telemetry.rs",
        "src/clock.rs",
    ];
    let folder = |step: &str| root().join(step.trim_end_matches(".rs")).join("mod.rs").exists();
    let missing: Vec<String> = steps
        .iter()
        .filter(|step| !root().join(step).exists() && !folder(step))
        .map(ToString::to_string)
        .collect();
    no_findings("a step of the way of one reading has no file", &missing);
}

#[test]
fn the_readme_shows_the_two_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release -- demo", "tests/run"] {
        assert!(readme.contains(command), "README.md does not show `{command}`");
    }
}

#[test]
fn no_secret_stands_in_the_project() {
    let found = findings(
        &[".rs", ".toml", ".md", ".service", ".sql", ".html"],
        |path| !is_test(path),
        |line| line.contains("-----BEGIN") || line.contains("AKIA") || line.contains("ghp_"),
    );
    no_findings("secrets", &found);
}
