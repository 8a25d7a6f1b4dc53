//! The lists of docs/rules.md are those of the program.

use std::fmt::Write;

use alerts::expr::UNITS;
use alerts::features::FEATURES;
use alerts::{CATALOGUE, PARAMS};
use expect_test::expect_file;

/// `text` with the part between the marks of `name` replaced.
fn splice(text: &str, name: &str, part: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).expect("the opening mark");
    let (_, after) = rest.split_once(&close).expect("the closing mark");
    format!("{before}{open}{part}{close}{after}")
}

fn units() -> String {
    let mut text = String::from("  ");
    for (at, unit) in UNITS.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(text, "{comma}`{}`", unit.name).expect("a string takes all");
    }
    text + ".\n"
}

fn features() -> String {
    let mut text = String::from("| feature | type or unit | known with | meaning |\n");
    text.push_str("| --- | --- | --- | --- |\n");
    for info in FEATURES {
        let (kind, cadence) = (info.type_text(), info.cadence.word());
        writeln!(text, "| `{}` | {kind} | {cadence} | {} |", info.name, info.doc)
            .expect("a string takes all");
    }
    text
}

fn parameters() -> String {
    let mut text = String::from("| rule | key | default | unit | range | mark | meaning |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for info in PARAMS {
        let (rule, key, unit, mark) = (info.rule, info.key, info.unit, info.mark.word());
        let (default, min, max, doc) = (info.default, info.min, info.max, info.doc);
        let row = format!("| {rule} | `{key}` | {default} | {unit} | {min} to {max} | {mark} |");
        writeln!(text, "{row} {} |", doc.replace('|', "\\|")).expect("a string takes all");
    }
    text
}

fn catalogue() -> String {
    let mut text = String::from("| # | rule | | for | cost | severity | opens | bill |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for info in CATALOGUE {
        let severities: Vec<String> = info.severities.iter().map(ToString::to_string).collect();
        let causes: Vec<String> = info.causes.iter().map(|cause| format!("`{cause}`")).collect();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            info.id.no.get(),
            info.id.name,
            info.title,
            info.utilities,
            info.cost.word(),
            severities.join(" "),
            causes.join(" "),
            info.billing.word()
        )
        .expect("a string takes all");
    }
    text
}

/// The first TOML example of the page.
fn example(text: &str) -> &str {
    let (_, rest) = text.split_once("```toml\n").expect("an example");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_lists_of_the_page_are_those_of_the_program_and_its_example_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    let mut text = std::fs::read_to_string(path).expect("docs/rules.md");
    let bundle = alerts::Bundle::parse(example(&text), alerts::bundle::Foreign::Known(&[]));
    let failed = bundle.unwrap_or_else(|errors| panic!("{errors}")).run_tests();
    assert_eq!(failed, []);
    for (name, part) in [
        ("units", units()),
        ("features", features()),
        ("parameters", parameters()),
        ("catalogue", catalogue()),
    ] {
        text = splice(&text, name, &part);
    }
    expect_file!["../../docs/rules.md"].assert_eq(&text);
}
