//! The layers laid over one another: default, files, environment, command line. What comes out is
//! one value per key with the place that set it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::expand::expand;
use super::fault::{Fault, Origin};
use super::keys::{KEYS, Key, LISTS, SETTINGS, list_keys, nearest};

/// Where an installation keeps its file: read when there is none in the working directory.
const INSTALLED: &str = "/etc/headend/headend.toml";

/// Variables `HEADEND__SECTION__KEY` set a key.
const PREFIX: &str = "HEADEND__";

/// A value before its type is known.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Raw {
    Text(String),
    Whole(i64),
    /// A list of tables.
    Tables(Vec<Table>),
    /// Anything that no key takes, in TOML's own words.
    Other(&'static str),
    /// A boolean, taken by PostgreSQL settings only.
    Bool(bool),
}

/// One table of a list.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pub(super) fields: BTreeMap<String, Setting>,
}

/// A value and the place that set it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Values given on the command line.
#[derive(Clone, Debug)]
pub struct Override {
    /// `section.name`.
    pub key: &'static str,
    pub value: String,
    /// The option, as the user wrote it: `--data-dir`.
    pub option: &'static str,
}

/// All settings by key, and what was wrong on the way.
#[derive(Default, Debug)]
pub(super) struct Layers {
    pub(super) settings: BTreeMap<String, Setting>,
    pub(super) faults: Vec<Fault>,
    /// The files that were read, in order.
    pub(super) files: Vec<PathBuf>,
}

impl Layers {
    /// Only what is built in.
    pub(super) fn builtin() -> Self {
        let mut layers = Self::default();
        for key in KEYS {
            let text = format!("value = {}", key.default);
            let raw = match DeTable::parse(&text) {
                Ok(document) => match document.get_ref().get("value") {
                    Some(value) => raw_of(value.get_ref()),
                    None => Raw::Other("nothing"),
                },
                Err(_) => Raw::Other("unreadable default"),
            };
            layers.set(key.path, Setting { raw, origin: Origin::Default });
        }
        layers
    }

    fn set(&mut self, key: &str, setting: Setting) {
        self.settings.insert(key.to_owned(), setting);
    }

    /// systemd's `StateDirectory=`, which any file may still change.
    pub(super) fn add_state_directory(&mut self, environment: &Environment) {
        let Some(list) = environment.get("STATE_DIRECTORY") else { return };
        let first = list.split(':').next().unwrap_or(list);
        let origin = Origin::Environment("STATE_DIRECTORY".to_owned());
        self.set("data.dir", Setting { raw: Raw::Text(first.to_owned()), origin });
    }

    /// A file and, after it, `conf.d/*.toml` beside it in the order of their names.
    pub(super) fn add_files(&mut self, file: Option<&Path>, environment: &Environment) {
        let here = Path::new("headend.toml");
        let usual = if here.is_file() { here } else { Path::new(INSTALLED) };
        let main = file.unwrap_or(usual);
        if file.is_some() || main.is_file() {
            self.add_file(main, environment);
        }
        let directory = main.parent().unwrap_or(Path::new("")).join("conf.d");
        let Ok(entries) = std::fs::read_dir(&directory) else { return };
        let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        parts.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        parts.sort();
        for part in parts {
            self.add_file(&part, environment);
        }
    }

    fn add_file(&mut self, path: &Path, environment: &Environment) {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.files.push(path.to_owned());
                self.add_text(path, &text, environment);
            }
            Err(error) => {
                let origin = Origin::File { path: path.into(), line: 1 };
                self.faults.push(Fault::new(&origin, format!("cannot read the file: {error}")));
            }
        }
    }

    pub(super) fn add_text(&mut self, path: &Path, text: &str, environment: &Environment) {
        let file = FileText { path: path.into(), text };
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| file.line(span.start));
            let origin = Origin::File { path: file.path.clone(), line };
            self.faults.push(Fault::new(&origin, error.message().replace('\n', "; ")));
        }
        let mut flat = Vec::new();
        flatten("", document.get_ref(), &file, &mut flat);
        for (key, mut setting) in flat {
            self.expand(&mut setting, environment);
            self.add_known(key, setting);
        }
    }

    fn expand(&mut self, setting: &mut Setting, environment: &Environment) {
        match &mut setting.raw {
            Raw::Text(text) if text.contains("${") => match expand(text, environment) {
                Ok(expanded) => *text = expanded,
                Err(what) => self.faults.push(Fault::new(&setting.origin, what)),
            },
            Raw::Tables(tables) => {
                for field in tables.iter_mut().flat_map(|table| table.fields.values_mut()) {
                    self.expand(field, environment);
                }
            }
            _ => {}
        }
    }

    /// `HEADEND__SECTION__KEY`, then `DATABASE_URL`.
    pub(super) fn add_environment(&mut self, environment: &Environment) {
        for (name, value) in environment.with_prefix(PREFIX) {
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            let origin = Origin::Environment(name.to_owned());
            let raw = if list_keys(&key).is_some() {
                self.tables_of_variable(name, value)
            } else {
                Raw::Text(value.to_owned())
            };
            self.add_known(key, Setting { raw, origin });
        }
        if let Some(url) = environment.get("DATABASE_URL") {
            let origin = Origin::Environment("DATABASE_URL".to_owned());
            self.set("database.url", Setting { raw: Raw::Text(url.to_owned()), origin });
        }
    }

    /// A list of tables in a variable is written as in TOML: `[{ filter = "a/#", format = "rtlamr" }]`.
    fn tables_of_variable(&mut self, name: &str, value: &str) -> Raw {
        let origin = Origin::Environment(name.to_owned());
        let text = format!("value = {value}");
        let Ok(document) = DeTable::parse(&text) else {
            let what = "write a list as in TOML: [{ filter = \"ami/up/#\", format = \"bundle\" }]";
            self.faults.push(Fault::new(&origin, what));
            return Raw::Tables(Vec::new());
        };
        let Some(value) = document.get_ref().get("value") else { return Raw::Other("nothing") };
        let mut raw = raw_of(value.get_ref());
        if let (Raw::Other("array"), DeValue::Array(items)) = (&raw, value.get_ref()) {
            raw = tables_of(items, &|_| origin.clone());
        }
        raw
    }

    pub(super) fn add_overrides(&mut self, overrides: &[Override]) {
        for one in overrides {
            let origin = Origin::CommandLine(one.option.to_owned());
            self.set(one.key, Setting { raw: Raw::Text(one.value.clone()), origin });
        }
    }

    /// Takes a key that exists; tells of one that does not.
    fn add_known(&mut self, key: String, setting: Setting) {
        let free = key.strip_prefix(SETTINGS).is_some_and(|name| !name.is_empty());
        let list = list_keys(&key);
        if free || list.is_some() || KEYS.iter().any(|known| known.path == key) {
            if let (Raw::Tables(tables), Some(known)) = (&setting.raw, list) {
                self.check_tables(&key, known, tables);
            }
            self.set(&key, setting);
            return;
        }
        let what = if key.ends_with(".password") {
            format!("{key}: a secret is never written here; put it into a file and set {key}_file")
        } else {
            let lists = LISTS.iter().map(|(list, _)| *list);
            unknown(&key, KEYS.iter().map(|known| known.path).chain(lists))
        };
        self.faults.push(Fault::new(&setting.origin, what));
    }

    fn check_tables(&mut self, list: &str, keys: &[Key], tables: &[Table]) {
        let known = || keys.iter().map(|key| key.path);
        for (name, setting) in tables.iter().flat_map(|table| &table.fields) {
            if !known().any(|key| key == name) {
                let what = format!("{list}: {}", unknown(name, known()));
                self.faults.push(Fault::new(&setting.origin, what));
            }
        }
    }
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(key, known) {
        Some(name) => format!("unknown key {key}; did you mean {name}?"),
        None => format!("unknown key {key}; `headend config sample` lists all keys"),
    }
}

/// A file while it is read.
struct FileText<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl FileText<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.clone(), line: self.line(offset) }
    }
}

fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    file: &FileText<'_>,
    out: &mut Vec<(String, Setting)>,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        let origin = file.origin(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&key, inner, file, out),
            DeValue::Array(items) if list_keys(&key).is_some() => {
                let raw = tables_of(items, &|offset| file.origin(offset));
                out.push((key, Setting { raw, origin }));
            }
            other => out.push((key, Setting { raw: raw_of(other), origin })),
        }
    }
}

fn tables_of(items: &toml::de::DeArray<'_>, origin: &dyn Fn(usize) -> Origin) -> Raw {
    let mut tables = Vec::new();
    for item in items.iter() {
        let DeValue::Table(fields) = item.get_ref() else { return Raw::Other("array of values") };
        let fields = fields.iter().map(|(name, value)| {
            let origin = origin(name.span().start);
            (name.get_ref().to_string(), Setting { raw: raw_of(value.get_ref()), origin })
        });
        tables.push(Table { origin: origin(item.span().start), fields: fields.collect() });
    }
    Raw::Tables(tables)
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("number out of range"), Raw::Whole),
        DeValue::Boolean(yes) => Raw::Bool(*yes),
        other => Raw::Other(other.type_str()),
    }
}
