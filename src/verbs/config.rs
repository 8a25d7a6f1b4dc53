//! `headend config check | sample | show`.

use std::io::Write;

use super::cli::{Common, ConfigVerb};
use super::exit::{Exit, Failure};
use crate::config::{self, Config, Environment, check};
use crate::output::{Cell, List, OutputFormat};

pub(super) fn run(
    common: &Common,
    verb: &ConfigVerb,
    environment: &Environment,
) -> anyhow::Result<()> {
    match verb {
        ConfigVerb::Sample => std::io::stdout().write_all(config::sample().as_bytes())?,
        ConfigVerb::Show { redacted: _, origin, output } => {
            show(common, *origin, output.format(), environment)?;
        }
        ConfigVerb::Check { no_environment } => check(common, *no_environment, environment)?,
    }
    Ok(())
}

fn show(
    common: &Common,
    origin: bool,
    format: OutputFormat,
    environment: &Environment,
) -> anyhow::Result<()> {
    let sources = common.sources();
    let mut list = List::new(if origin { &["key", "value", "origin"] } else { &["key", "value"] });
    for one in config::shown(&sources, environment) {
        let mut row = vec![Cell::text(one.key), Cell::text(one.value)];
        if origin {
            row.push(Cell::text(one.origin.to_string()));
        }
        list.push(row);
    }
    list.print(format)?;
    // Bad values are shown too, and then told.
    Config::load(&sources, environment)?;
    Ok(())
}

fn check(common: &Common, no_environment: bool, environment: &Environment) -> anyhow::Result<()> {
    let config = Config::load(&common.sources(), environment)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "OK    the configuration is good")?;
    if no_environment {
        return Ok(());
    }
    let mut findings = check::environment(&config);
    if config.database.url.is_some() {
        findings.push(database(&config));
    }
    for finding in &findings {
        let word = if finding.good { "OK   " } else { "FAIL " };
        writeln!(out, "{word} {}: {}", finding.key, finding.what)?;
    }
    let bad = findings.iter().filter(|finding| !finding.good).count();
    if bad > 0 {
        let what = format!("{bad} of {} things that the configuration names fail", findings.len());
        return Err(Failure::new(Exit::Unavailable, what).into());
    }
    Ok(())
}

/// Opens a connection and closes it; migrates nothing.
fn database(config: &Config) -> check::Finding {
    let key = "database.url";
    let answer = super::runtime().and_then(|runtime| {
        runtime.block_on(async {
            let database = store::Database::open(&super::database::store_config(config)?)?;
            let place = database.place();
            drop(database.client().await?);
            Ok(place)
        })
    });
    match answer {
        Ok(place) => check::Finding { key, good: true, what: format!("{place} answers") },
        Err(error) => check::Finding { key, good: false, what: format!("{error:#}") },
    }
}
