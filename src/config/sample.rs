//! `config sample` and `config show`: every key with its default, and the values in force.

use std::fmt::Write;

use super::keys::{
    GATEWAY_KEYS, GATEWAYS, KEYS, Key, SUBSCRIPTION_KEYS, SUBSCRIPTIONS, UNIT_KEYS, UNITS,
};
use super::layers::{Layers, Raw, Setting};
use super::sections::password_range;
use super::{Environment, Origin, Sources, all_layers};

const HEAD: &str = "\
# headend.toml: every key with its default. Leave out what you do not change.
# Later layers win: this file, conf.d/*.toml beside it, HEADEND__SECTION__KEY in the environment
# (HEADEND__MQTT__URL), the command line. Keys are read at the start: restart after a change.
# Durations: 200ms, 30s, 15m, 2h, 35d. Sizes: 512KiB, 4MiB, 2GiB. In strings, ${VAR:-default} and
# ${VAR:?message} take a variable. A secret is never written here: name its file.
";

/// A file with every key, ready to be changed.
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if of != section {
            close_section(section, &mut out);
            let _ = writeln!(out, "\n[{of}]");
            section = of;
        }
        write_key(key, name, &mut out);
    }
    close_section(section, &mut out);
    out
}

fn write_key(key: &Key, name: &str, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# {} ({})\n{name} = {}", key.about, key.unit, key.default);
}

/// What belongs to a section and is no plain key.
fn close_section(section: &str, out: &mut String) {
    match section {
        "embedded" => out.push_str(
            "\n# PostgreSQL settings of the private server, over the built-in ones, for example:\n\
             [embedded.settings]\n# shared_buffers = \"1GB\"\n",
        ),
        "mqtt" => {
            let _ = writeln!(out, "\n# One table for each set of topics; without any, this one:");
            let _ = writeln!(out, "[[{SUBSCRIPTIONS}]]");
            for key in SUBSCRIPTION_KEYS {
                write_key(key, key.path, out);
            }
        }
        "modbus" => {
            out.push_str("\n# Meters that are polled, for example:\n");
            for (list, keys) in [(GATEWAYS, GATEWAY_KEYS), (UNITS, UNIT_KEYS)] {
                let _ = writeln!(out, "# [[{list}]]");
                for key in keys {
                    let _ = writeln!(out, "# # {} ({})", key.about, key.unit);
                    let _ = writeln!(out, "# {} = {}", key.path, key.default);
                }
            }
        }
        _ => {}
    }
}

/// A value in force, ready to be shown: secrets are hidden.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub key: String,
    /// As TOML has it.
    pub value: String,
    pub origin: Origin,
}

/// All values in force, also when some of them are bad.
pub fn shown(sources: &Sources, environment: &Environment) -> Vec<Shown> {
    let layers = all_layers(sources, environment);
    let order = |key: &str| KEYS.iter().position(|known| known.path == key).unwrap_or(KEYS.len());
    let mut shown = shown_of(&layers);
    shown.sort_by(|a, b| order(&a.key).cmp(&order(&b.key)).then_with(|| a.key.cmp(&b.key)));
    shown
}

pub(super) fn shown_of(layers: &Layers) -> Vec<Shown> {
    let mut shown = Vec::new();
    for (key, setting) in &layers.settings {
        if let Raw::Tables(tables) = &setting.raw {
            for (at, table) in tables.iter().enumerate() {
                shown.extend(
                    table
                        .fields
                        .iter()
                        .map(|(name, field)| one(format!("{key}[{at}].{name}"), field)),
                );
            }
        } else {
            shown.push(one(key.clone(), setting));
        }
    }
    shown
}

fn one(key: String, setting: &Setting) -> Shown {
    let value = match &setting.raw {
        Raw::Text(text) => toml::Value::String(redacted(text)).to_string(),
        Raw::Whole(number) => number.to_string(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Tables(_) => "list".to_owned(),
        Raw::Other(kind) => (*kind).to_owned(),
    };
    Shown { key, value, origin: setting.origin.clone() }
}

/// The text with a password in a URL replaced by stars.
pub fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(range) = password_range(&text) {
        text.replace_range(range, "***");
    }
    text
}
