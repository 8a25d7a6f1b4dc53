//! TOML into a [`Mapping`], with every fault and its line.

use std::ops::Range;
use std::str::FromStr as _;

use jiff::tz::TimeZone;
use metering::{EventCode, Exact, Unit};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    ChannelRule, CsvShape, ENTRIES_MAX, EventRule, Identity, Kind, Literal, Mapping, MappingFault,
    MappingFaults, Path, Shape, TEXT_MAX, Test, TimeFormat, TimeRule,
};
use crate::observation::{Digits, TimeOrigin};

const TOP: &[&str] = &["mapping", "time", "channel", "event", "battery", "rssi"];
const HEAD: &[&str] = &[
    "name",
    "note",
    "filter",
    "format",
    "family",
    "id",
    "fixed_id",
    "collector_level",
    "records",
    "partial",
    "delimiter",
    "header",
    "decimal",
];
const TIME: &[&str] = &["path", "format", "layout", "zone", "origin"];
const CHANNEL: &[&str] = &[
    "field",
    "path",
    "unit",
    "kind",
    "multiplier",
    "width",
    "modulus",
    "absent",
    "interval",
    "float",
    "history",
];
const EVENT: &[&str] = &["path", "event", "equals", "other_than", "mask", "once"];

type Table<'t> = DeTable<'t>;
type Field<'t> = Spanned<DeValue<'t>>;

/// Collects faults while a text is read.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<MappingFault>,
}

pub(super) fn mapping(text: &str) -> Result<Mapping, MappingFaults> {
    let mut reader = Reader { text, faults: Vec::new() };
    if text.len() > TEXT_MAX {
        reader.fault(0, format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len()));
        return Err(MappingFaults(reader.faults));
    }
    let read = match DeTable::parse(text) {
        Ok(table) => Some(reader.top(table.get_ref())),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.fault(at, error.message());
            None
        }
    };
    match read {
        Some(mapping) if reader.faults.is_empty() => Ok(mapping),
        _ => {
            reader.faults.sort();
            reader.faults.dedup();
            Err(MappingFaults(reader.faults))
        }
    }
}

impl Reader<'_> {
    fn fault(&mut self, at: usize, message: impl Into<String>) {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        self.faults.push(MappingFault { line, message: message.into() });
    }

    fn top(&mut self, table: &Table<'_>) -> Mapping {
        self.known_keys(table, "a mapping", TOP);
        let empty = Table::new();
        let head = self.table(table, "mapping").unwrap_or(&empty);
        self.known_keys(head, "[mapping]", HEAD);
        let shape = self.shape(head);
        let mut mapping = Mapping {
            name: self.name(head),
            note: self.text_of(head, "note").unwrap_or_default(),
            filter: self.filter(head),
            shape,
            text: self.text.to_owned(),
            family: self.family(head),
            id: self.identity(head, shape),
            collector_level: self.level(head, "collector_level"),
            records: self.path_of(head, "records", Shape::Json),
            partial: self.bool_of(head, "partial").unwrap_or(false),
            csv: self.csv(head, shape),
            decimal_comma: self.decimal_comma(head),
            time: TimeRule::default(),
            channels: Vec::new(),
            events: Vec::new(),
            battery: None,
            rssi: None,
        };
        if mapping.records.is_some() && shape != Shape::Json {
            self.fault_at(head, "records", "records is for format = \"json\"");
        }
        if let Some(time) = self.table(table, "time") {
            mapping.time = self.time(time, shape);
        }
        mapping.channels = self.channels(table, shape);
        mapping.events = self.events(table, shape);
        if let Some(battery) = self.table(table, "battery") {
            mapping.battery = self.battery(battery, shape);
        }
        if let Some(rssi) = self.table(table, "rssi") {
            self.known_keys(rssi, "[rssi]", &["path"]);
            mapping.rssi = self.path_of(rssi, "path", shape);
        }
        mapping
    }

    fn name(&mut self, head: &Table<'_>) -> String {
        let name = self.text_of(head, "name").unwrap_or_default();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            let what = "[mapping] name must be 1 to 40 lower-case letters, digits, `-` and `_`";
            self.fault_at(head, "name", what);
        }
        name
    }

    fn filter(&mut self, head: &Table<'_>) -> Option<String> {
        let filter = self.text_of(head, "filter")?;
        if !filter_is_valid(&filter) {
            let what = format!(
                "`{filter}` is no topic filter: `+` stands for a whole level, `#` for the last ones"
            );
            self.fault_at(head, "filter", what);
        }
        Some(filter)
    }

    fn shape(&mut self, head: &Table<'_>) -> Shape {
        let Some(word) = self.text_of(head, "format") else { return Shape::Json };
        let known = Shape::ALL.iter().find(|(_, known)| *known == word);
        if known.is_none() {
            let what =
                format!("`{word}` is no format: write json, csv, number, object or sparkplug");
            self.fault_at(head, "format", what);
        }
        known.map_or(Shape::Json, |(shape, _)| *shape)
    }

    fn family(&mut self, head: &Table<'_>) -> String {
        let Some(family) = self.text_of(head, "family") else { return "mqtt".to_owned() };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if family.is_empty() || family.len() > 16 || !family.chars().all(plain) {
            let what = "[mapping] family is 1 to 16 lower-case letters and digits, as in family:ID";
            self.fault_at(head, "family", what);
        }
        family
    }

    fn identity(&mut self, head: &Table<'_>, shape: Shape) -> Option<Identity> {
        let told = head.get("id").map(|field| (field.span(), field.get_ref()));
        let fixed = self.text_of(head, "fixed_id");
        let needs_none = matches!(shape, Shape::Object | Shape::Sparkplug);
        match (told, fixed) {
            (Some(_), Some(_)) => {
                self.fault_at(head, "fixed_id", "write id or fixed_id, not both");
                None
            }
            (None, Some(fixed)) if !fixed.is_empty() => Some(Identity::Fixed(fixed)),
            (None, Some(_)) => {
                self.fault_at(head, "fixed_id", "fixed_id is empty");
                None
            }
            (None, None) if needs_none => None,
            (None, None) => {
                let what = "[mapping] says no id: write a path in the payload (id = \"/meter\"), \
                            the number of a topic level (id = 2) or fixed_id";
                self.fault_at(head, "id", what);
                None
            }
            (Some((span, _)), None) if needs_none => {
                let what = "id: the format that unwraps the payload knows the device already";
                self.fault(span.start, what);
                None
            }
            (Some((span, value)), None) => match value {
                DeValue::Integer(_) => {
                    let level = self.level(head, "id")?;
                    Some(Identity::Level(usize::from(level)))
                }
                DeValue::String(_) if shape == Shape::Number => {
                    let what = "id: a bare number names nobody; write a topic level or fixed_id";
                    self.fault(span.start, what);
                    None
                }
                DeValue::String(_) => self.path_of(head, "id", shape).map(Identity::Path),
                _ => {
                    self.fault(span.start, "id is a path or the number of a topic level");
                    None
                }
            },
        }
    }

    fn csv(&mut self, head: &Table<'_>, shape: Shape) -> CsvShape {
        let header = self.bool_of(head, "header").unwrap_or(true);
        let told = self.text_of(head, "delimiter");
        if shape != Shape::Csv {
            for key in ["header", "delimiter"] {
                if head.get(key).is_some() {
                    self.fault_at(head, key, format!("{key} is for format = \"csv\""));
                }
            }
        }
        let delimiter = match told.as_deref().map(str::as_bytes) {
            None => b',',
            Some([one]) if !one.is_ascii_alphanumeric() => *one,
            Some(_) => {
                self.fault_at(head, "delimiter", "delimiter is one sign such as \";\"");
                b','
            }
        };
        CsvShape { delimiter, header }
    }

    fn decimal_comma(&mut self, head: &Table<'_>) -> bool {
        match self.text_of(head, "decimal").as_deref() {
            None | Some(".") => false,
            Some(",") => true,
            Some(_) => {
                self.fault_at(head, "decimal", "decimal is \".\" or \",\"");
                false
            }
        }
    }

    fn time(&mut self, time: &Table<'_>, shape: Shape) -> TimeRule {
        self.known_keys(time, "[time]", TIME);
        let mut rule = TimeRule { path: self.path_of(time, "path", shape), ..TimeRule::default() };
        if rule.path.as_ref().is_some_and(Path::has_any) {
            self.fault_at(time, "path", "[time] path finds one value: `*` is for channels");
        }
        let layout = self.text_of(time, "layout");
        rule.format = match (self.text_of(time, "format").as_deref(), layout) {
            (None | Some("arrival"), None) if rule.path.is_none() => TimeFormat::Arrival,
            (Some("rfc3339"), None) => TimeFormat::Rfc3339,
            (Some("epoch_s"), None) => TimeFormat::EpochS,
            (Some("epoch_ms"), None) => TimeFormat::EpochMs,
            (Some("local"), None) => TimeFormat::Local,
            (None | Some("local"), Some(layout)) => {
                if jiff::fmt::strtime::format(layout.as_bytes(), jiff::civil::DateTime::ZERO)
                    .is_err()
                {
                    let what = "layout is as of strptime, for example \"%d.%m.%Y %H:%M:%S\"";
                    self.fault_at(time, "layout", what);
                }
                TimeFormat::Layout(layout)
            }
            _ => {
                let what = "[time] format is rfc3339, epoch_s, epoch_ms, local (with zone) or \
                            arrival (without path)";
                self.fault_at(time, "format", what);
                TimeFormat::Arrival
            }
        };
        if time.get("path").is_none() && rule.format != TimeFormat::Arrival {
            // The key that stands there is the one that makes the missing one wanted.
            self.fault_at(time, "format", "[time] says no path: where does the time stand?");
        }
        self.zone(time, &mut rule);
        rule.origin = match self.text_of(time, "origin").as_deref() {
            None | Some("device") => TimeOrigin::Device,
            Some("collector") => TimeOrigin::Collector,
            Some(_) => {
                self.fault_at(time, "origin", "origin is device or collector: whose clock it is");
                TimeOrigin::Device
            }
        };
        rule
    }

    fn zone(&mut self, time: &Table<'_>, rule: &mut TimeRule) {
        let local = matches!(rule.format, TimeFormat::Local | TimeFormat::Layout(_));
        match self.text_of(time, "zone") {
            Some(name) => match TimeZone::get(&name) {
                Ok(zone) => rule.zone = Some(zone),
                Err(_) => {
                    let what =
                        format!("`{name}` is no zone of the IANA list: Europe/Berlin or UTC");
                    self.fault_at(time, "zone", what);
                }
            },
            None if local => {
                let what = "[time] says no zone: a local time needs one, for example Europe/Berlin";
                self.fault_at(time, "format", what);
            }
            None => {}
        }
    }

    fn channels(&mut self, table: &Table<'_>, shape: Shape) -> Vec<ChannelRule> {
        let all = self.tables(table, "channel");
        if all.is_empty() {
            self.fault(0, "a mapping has at least one [[channel]]");
        }
        let mut read: Vec<ChannelRule> = Vec::new();
        for (span, one) in all {
            let rule = self.channel(&span, one, shape);
            if read.iter().any(|before| before.field == rule.field) {
                self.fault_at(one, "field", format!("the field `{}` stands twice", rule.field));
            }
            read.push(rule);
        }
        read
    }

    fn channel(&mut self, span: &Range<usize>, one: &Table<'_>, shape: Shape) -> ChannelRule {
        self.known_keys(one, "[[channel]]", CHANNEL);
        let field = self.text_of(one, "field").unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
        if field.is_empty() || field.len() > 60 || !field.chars().all(plain) {
            let what = "[[channel]] field is the name on the wire, 1 to 60 letters and digits";
            self.fault(self.start_of(one, "field", span), what);
        }
        let path = self.path_of(one, "path", shape);
        if path.is_none() && one.get("path").is_none() && shape != Shape::Number {
            self.fault(span.start, format!("[[channel]] {field} says no path"));
        }
        if path.as_ref().is_some_and(Path::is_of_document) {
            self.fault_at(one, "path", "`^` is for id and time: a channel stands in its record");
        }
        let kind = self.kind(one, span);
        let unit = self.unit(one, span);
        ChannelRule {
            field,
            path: path.unwrap_or_else(|| Path::name("")),
            unit,
            kind,
            multiplier: self.multiplier(one),
            digits: match self.bool_of(one, "float") {
                Some(true) => Digits::Float,
                _ => Digits::Told,
            },
            modulus: self.modulus(one, kind),
            absent: self.literals(one, "absent"),
            len_s: self.interval(one, kind, span),
            history: self.bool_of(one, "history").unwrap_or(false),
        }
    }

    fn kind(&mut self, one: &Table<'_>, span: &Range<usize>) -> Kind {
        let word = self.text_of(one, "kind");
        let known = Kind::ALL.iter().find(|(_, known)| Some(*known) == word.as_deref());
        if known.is_none() {
            let what = "[[channel]] kind is cumulative (a counter), interval or instant";
            self.fault(self.start_of(one, "kind", span), what);
        }
        known.map_or(Kind::Instant, |(kind, _)| *kind)
    }

    fn unit(&mut self, one: &Table<'_>, span: &Range<usize>) -> Option<Unit> {
        let Some(text) = self.text_of(one, "unit") else {
            let what = "[[channel]] says no unit: it is never guessed; write `count` for a bare \
                        counter whose unit stands in the meter's record";
            self.fault(self.start_of(one, "unit", span), what);
            return None;
        };
        match Unit::from_str(&text) {
            Ok(unit) => Some(unit),
            Err(error) => {
                self.fault_at(one, "unit", error.to_string());
                None
            }
        }
    }

    fn multiplier(&mut self, one: &Table<'_>) -> Option<Exact> {
        let text = self.text_of(one, "multiplier")?;
        match text.parse::<Exact>() {
            Ok(number) if !number.is_negative() && number != Exact::ZERO => Some(number),
            _ => {
                let what = "multiplier is a decimal number above 0 as text, for example \"0.001\"";
                self.fault_at(one, "multiplier", what);
                None
            }
        }
    }

    fn modulus(&mut self, one: &Table<'_>, kind: Kind) -> Option<i64> {
        let width = self.whole_of(one, "width", 1..=62);
        let modulus = self.whole_of(one, "modulus", 10..=1_i64 << 62);
        let told = width.map(|bits| 1_i64 << bits);
        for key in ["width", "modulus"] {
            if one.get(key).is_some() && kind != Kind::Cumulative {
                self.fault_at(one, key, format!("{key} is where a cumulative counter wraps"));
            }
        }
        if told.is_some() && modulus.is_some() {
            self.fault_at(one, "modulus", "write width (in bits) or modulus, not both");
        }
        told.or(modulus)
    }

    fn interval(&mut self, one: &Table<'_>, kind: Kind, span: &Range<usize>) -> i32 {
        let told = self.text_of(one, "interval");
        let seconds = told.as_deref().and_then(seconds);
        match (kind, told.is_some(), seconds) {
            (Kind::Interval, _, Some(seconds)) => return seconds,
            (Kind::Interval, true, None) => {
                let what = "interval is a length such as \"15m\", \"1h\" or \"1d\"";
                self.fault_at(one, "interval", what);
            }
            (Kind::Interval, false, _) => {
                let what = "[[channel]] of kind interval says no interval: write \"15m\" or \"1h\"";
                self.fault(span.start, what);
            }
            (_, true, _) => self.fault_at(one, "interval", "interval is for kind = \"interval\""),
            _ => {}
        }
        0
    }

    fn events(&mut self, table: &Table<'_>, shape: Shape) -> Vec<EventRule> {
        let mut rules = Vec::new();
        for (span, one) in self.tables(table, "event") {
            self.known_keys(one, "[[event]]", EVENT);
            let path = self.path_of(one, "path", shape);
            if path.is_none() && one.get("path").is_none() {
                self.fault(span.start, "[[event]] says no path");
            }
            let code = self.text_of(one, "event").unwrap_or_default().parse::<EventCode>();
            if code.is_err() {
                let what = "[[event]] event is a code of docs/bundle.md, for example leak";
                self.fault(self.start_of(one, "event", &span), what);
            }
            let test = self.test(one, &span);
            let once = self.bool_of(one, "once").unwrap_or(false);
            if let (Some(path), Ok(code), Some(test)) = (path, code, test) {
                rules.push(EventRule { path, test, code, once });
            }
        }
        rules
    }

    fn test(&mut self, one: &Table<'_>, span: &Range<usize>) -> Option<Test> {
        let (equals, other) = (self.literals(one, "equals"), self.literals(one, "other_than"));
        let mask = self.whole_of(one, "mask", 1..=i64::MAX);
        let told =
            ["equals", "other_than", "mask"].into_iter().filter(|key| one.get(*key).is_some());
        if told.count() != 1 {
            let what = "[[event]] says when: exactly one of equals, other_than and mask";
            self.fault(span.start, what);
            return None;
        }
        match mask {
            Some(mask) => Some(Test::Mask(mask.unsigned_abs())),
            None if !equals.is_empty() => Some(Test::Equals(equals)),
            None if !other.is_empty() => Some(Test::OtherThan(other)),
            None => None,
        }
    }

    fn battery(&mut self, battery: &Table<'_>, shape: Shape) -> Option<(Path, Unit)> {
        self.known_keys(battery, "[battery]", &["path", "unit"]);
        let path = self.path_of(battery, "path", shape)?;
        let unit = self.text_of(battery, "unit").and_then(|unit| Unit::from_str(&unit).ok());
        match unit {
            Some(unit @ (Unit::Volt | Unit::Millivolt)) => Some((path, unit)),
            _ => {
                self.fault_at(battery, "unit", "[battery] unit is mV or V");
                None
            }
        }
    }

    /// One value or a list of values.
    fn literals(&mut self, table: &Table<'_>, key: &str) -> Vec<Literal> {
        let Some(field) = table.get(key) else { return Vec::new() };
        let list: Vec<&Field<'_>> = match field.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![field],
        };
        let mut literals = Vec::new();
        for one in list {
            let literal = match one.get_ref() {
                DeValue::Boolean(value) => Some(Literal::Bool(*value)),
                DeValue::String(text) => Some(Literal::Text(text.to_string())),
                DeValue::Integer(number) => {
                    let radix = number.radix();
                    let digits = number.as_str();
                    let read = i64::from_str_radix(digits, radix).ok();
                    read.map(|value| Literal::Number(Exact::whole(value)))
                }
                DeValue::Float(number) => number.as_str().parse().ok().map(Literal::Number),
                _ => None,
            };
            match literal {
                Some(literal) => literals.push(literal),
                None => {
                    self.fault(one.span().start, format!("{key} is a number, text, true, false"))
                }
            }
        }
        if literals.is_empty() || literals.len() > ENTRIES_MAX {
            self.fault(field.span().start, format!("{key} holds 1 to {ENTRIES_MAX} values"));
        }
        literals
    }

    fn path_of(&mut self, table: &Table<'_>, key: &str, shape: Shape) -> Option<Path> {
        let text = self.text_of(table, key)?;
        if matches!(shape, Shape::Csv | Shape::Sparkplug) {
            return Some(Path::name(&text));
        }
        match Path::pointer(&text) {
            Ok(path) => Some(path),
            Err(what) => {
                self.fault_at(table, key, what);
                None
            }
        }
    }

    fn known_keys(&mut self, table: &Table<'_>, what: &str, known: &[&'static str]) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let name: String = name.chars().take(40).collect();
                let known = known.join(", ");
                self.fault(key.span().start, format!("{what} has no key `{name}`: it has {known}"));
            }
        }
    }

    fn start_of(&self, table: &Table<'_>, key: &str, span: &Range<usize>) -> usize {
        table.get(key).map_or(span.start, |field| field.span().start)
    }

    fn fault_at(&mut self, table: &Table<'_>, key: &str, message: impl Into<String>) {
        let at = self.start_of(table, key, &(0..0));
        self.fault(at, message);
    }

    fn table<'t>(&mut self, table: &'t Table<'t>, key: &str) -> Option<&'t Table<'t>> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => {
                self.fault(field.span().start, format!("{key} is a table: [{key}]"));
                None
            }
        }
    }

    fn tables<'t>(
        &mut self,
        table: &'t Table<'t>,
        key: &str,
    ) -> Vec<(Range<usize>, &'t Table<'t>)> {
        let Some(field) = table.get(key) else { return Vec::new() };
        let list = match field.get_ref() {
            DeValue::Array(list) => {
                let all = list.iter().map(|one| match one.get_ref() {
                    DeValue::Table(inner) => Some((one.span(), inner)),
                    _ => None,
                });
                all.collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        match list {
            Some(list) if list.len() <= ENTRIES_MAX => list,
            Some(_) => {
                self.fault(field.span().start, format!("more than {ENTRIES_MAX} [[{key}]]"));
                Vec::new()
            }
            None => {
                self.fault(field.span().start, format!("{key} is a list of tables: [[{key}]]"));
                Vec::new()
            }
        }
    }

    fn text_of(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.fault(field.span().start, format!("{key} is a text in quotes"));
                None
            }
        }
    }

    fn bool_of(&mut self, table: &Table<'_>, key: &str) -> Option<bool> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                self.fault(field.span().start, format!("{key} is true or false"));
                None
            }
        }
    }

    fn whole_of(
        &mut self,
        table: &Table<'_>,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let field = table.get(key)?;
        let told = match field.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let good = told.filter(|value| range.contains(value));
        if good.is_none() {
            let (from, to) = (range.start(), range.end());
            self.fault(field.span().start, format!("{key} is a whole number from {from} to {to}"));
        }
        good
    }

    fn level(&mut self, table: &Table<'_>, key: &str) -> Option<u8> {
        self.whole_of(table, key, 1..=32).and_then(|level| u8::try_from(level).ok())
    }
}

/// Seconds of `90s`, `15m`, `1h` or `1d`.
fn seconds(text: &str) -> Option<i32> {
    let (digits, factor) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3_600),
        b'd' => (text.strip_suffix('d')?, 86_400),
        _ => return None,
    };
    let number: i32 = digits.parse().ok()?;
    let seconds = number.checked_mul(factor)?;
    (1..=31 * 86_400).contains(&seconds).then_some(seconds)
}

/// MQTT 5.0, section 4.7.1: `#` is the last level, `+` a whole one.
fn filter_is_valid(filter: &str) -> bool {
    let levels = filter.split('/').count();
    !filter.is_empty()
        && filter.len() <= 1_024
        && !filter.contains(char::is_control)
        && filter.split('/').enumerate().all(|(n, level)| match level {
            "#" => n + 1 == levels,
            "+" => true,
            level => !level.contains(['#', '+']),
        })
}
