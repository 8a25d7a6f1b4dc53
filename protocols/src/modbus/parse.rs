//! Profiles from TOML: unknown keys are refused, and what is wrong is told with its line.

use metering::{Exact, Unit};
use serde::Deserialize;
use toml::Spanned;

use super::channel::{self, SERIAL};
use super::frame::of_hex;
use super::pdu::{Function, REGISTERS_MAX, ReadRequest};
use super::profile::{Absent, Check, Profile, Register, RegisterType, Scale, Use, WordOrder};

/// Longest profile file, in bytes.
const BYTES_MAX: usize = 256 << 10;
const REGISTERS_IN_PROFILE_MAX: usize = 1_000;

/// A profile that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ProfileError {
    /// From 1.
    pub line: usize,
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    name: Spanned<String>,
    #[serde(default)]
    title: String,
    function: Option<Spanned<u8>>,
    max_read: Option<Spanned<u16>>,
    max_gap: Option<u16>,
    word_order: Option<Spanned<String>>,
    timeout_ms: Option<Spanned<u32>>,
    min_request_gap_ms: Option<Spanned<u32>>,
    #[serde(default)]
    no_merge: Vec<Spanned<(u16, u16)>>,
    #[serde(default)]
    sunspec: bool,
    #[serde(default)]
    register: Vec<Spanned<RawRegister>>,
    #[serde(default)]
    check: Vec<Spanned<RawCheck>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegister {
    channel: String,
    address: u16,
    #[serde(rename = "type")]
    kind: String,
    length: Option<u16>,
    unit: Option<String>,
    #[serde(rename = "kind")]
    use_: Option<String>,
    function: Option<u8>,
    word_order: Option<String>,
    scale: Option<RawScale>,
    not_available: Option<RawAbsent>,
    range: Option<(toml::Value, toml::Value)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawScale {
    Power(i8),
    Register(ScaleRegister),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleRegister {
    register: u16,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawAbsent {
    Word(String),
    List(Vec<RawPattern>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPattern {
    Word(String),
    Raw(i64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    request: Option<String>,
    response: Option<String>,
    #[serde(default)]
    exchange: Vec<(String, String)>,
    expect: String,
}

/// Turns offsets into lines.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn fault<T>(&self, spanned: &Spanned<T>, what: impl Into<String>) -> ProfileError {
        self.at(spanned.span().start, what)
    }

    fn at(&self, offset: usize, what: impl Into<String>) -> ProfileError {
        let before = self.0.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        ProfileError { line, what: what.into() }
    }
}

impl Profile {
    /// Reads and checks one profile; its own frames are replayed by [`Profile::verify`].
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let lines = Lines(text);
        if text.len() > BYTES_MAX {
            return Err(lines.at(0, format!("longer than {BYTES_MAX} bytes")));
        }
        let raw: RawProfile = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            lines.at(offset, error.message().replace('\n', "; "))
        })?;
        let head = head(&raw, &lines)?;
        let mut profile = head.profile;
        for spanned in &raw.register {
            let register = register(spanned.get_ref(), &head.defaults)
                .map_err(|what| lines.fault(spanned, what))?;
            fits(&profile, &register).map_err(|what| lines.fault(spanned, what))?;
            profile.registers.push(register);
        }
        for spanned in &raw.check {
            let check = check(spanned.get_ref()).map_err(|what| lines.fault(spanned, what))?;
            profile.checks.push(check);
        }
        if profile.registers.is_empty() != profile.sunspec {
            let what = "write [[register]] tables, or sunspec = true to find them in the device";
            return Err(lines.at(0, what));
        }
        if profile.checks.is_empty() {
            let what = "there is no [[check]]: add a request, its response and what it must give";
            return Err(lines.at(0, what));
        }
        Ok(profile)
    }
}

struct Defaults {
    function: Option<Function>,
    order: WordOrder,
}

struct Head {
    profile: Profile,
    defaults: Defaults,
}

fn head(raw: &RawProfile, lines: &Lines<'_>) -> Result<Head, ProfileError> {
    let name = raw.name.get_ref();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        let what = format!("name `{name}`: write small letters, digits, `-`, `_` and `.`");
        return Err(lines.fault(&raw.name, what));
    }
    let within = |spanned: &Option<Spanned<u32>>, low: u32, high: u32, key: &str| match spanned {
        Some(value) if !(low..=high).contains(value.get_ref()) => {
            Err(lines.fault(value, format!("{key} is not within {low} to {high} ms")))
        }
        Some(value) => Ok(Some(*value.get_ref())),
        None => Ok(None),
    };
    let function = match &raw.function {
        None => None,
        Some(code) => Some(function(*code.get_ref()).map_err(|what| lines.fault(code, what))?),
    };
    let order = match &raw.word_order {
        None => WordOrder::Big,
        Some(word) => WordOrder::parse(word.get_ref()).map_err(|what| lines.fault(word, what))?,
    };
    let max_read = raw.max_read.as_ref().map_or(80, |value| *value.get_ref());
    if let Some(value) = raw.max_read.as_ref().filter(|_| !(1..=REGISTERS_MAX).contains(&max_read))
    {
        return Err(lines.fault(value, format!("max_read is not within 1 to {REGISTERS_MAX}")));
    }
    let mut no_merge = Vec::new();
    for range in &raw.no_merge {
        let (from, to) = *range.get_ref();
        if from > to {
            return Err(lines.fault(range, "no_merge: write [first, last]"));
        }
        no_merge.push(from..=to);
    }
    let profile = Profile {
        name: name.clone(),
        title: if raw.title.is_empty() { name.clone() } else { raw.title.clone() },
        max_read,
        max_gap: raw.max_gap.unwrap_or(8),
        timeout_ms: within(&raw.timeout_ms, 50, 60_000, "timeout_ms")?,
        min_request_gap_ms: within(&raw.min_request_gap_ms, 0, 10_000, "min_request_gap_ms")?
            .unwrap_or(5),
        no_merge,
        sunspec: raw.sunspec,
        registers: Vec::new(),
        checks: Vec::new(),
    };
    if raw.register.len() > REGISTERS_IN_PROFILE_MAX {
        return Err(lines.at(0, format!("more than {REGISTERS_IN_PROFILE_MAX} registers")));
    }
    Ok(Head { profile, defaults: Defaults { function, order } })
}

fn function(code: u8) -> Result<Function, String> {
    Function::of_code(code)
        .ok_or_else(|| format!("function {code}: only 3 (holding) and 4 (input) are read"))
}

fn register(raw: &RawRegister, defaults: &Defaults) -> Result<Register, String> {
    let kind = RegisterType::parse(&raw.kind, raw.length)?;
    let function = match raw.function {
        Some(code) => function(code)?,
        None => defaults.function.ok_or("function is missing: write 3 or 4, here or at the top")?,
    };
    let order = raw.word_order.as_deref().map_or(Ok(defaults.order), WordOrder::parse)?;
    let (use_, unit) = meaning(raw, kind)?;
    let scale = match &raw.scale {
        None => Scale::Power(0),
        Some(RawScale::Power(power)) if (-10..=10).contains(power) => Scale::Power(*power),
        Some(RawScale::Power(power)) => return Err(format!("scale {power} is not in -10 to 10")),
        Some(RawScale::Register(at)) => Scale::Register(at.register),
    };
    let range = match &raw.range {
        None => None,
        Some((low, high)) => Some((decimal(low)?, decimal(high)?)),
    };
    let end = u32::from(raw.address) + u32::from(kind.words());
    if end > 0x1_0000 {
        return Err(format!("{} ends beyond address 65535", raw.channel));
    }
    let absent = absent(raw.not_available.as_ref())?;
    let channel = raw.channel.clone();
    let address = raw.address;
    Ok(Register { channel, function, address, kind, unit, use_, order, scale, absent, range })
}

/// What the channel's name allows.
fn meaning(raw: &RawRegister, kind: RegisterType) -> Result<(Use, Unit), String> {
    let name = &raw.channel;
    if name == SERIAL {
        return match raw.use_.as_deref() {
            None | Some("text") => Ok((Use::Text, Unit::Count)),
            Some(_) => Err(format!("{SERIAL} is text: write kind = \"text\"")),
        };
    }
    if matches!(kind, RegisterType::Text(_)) {
        return Err(format!("only {SERIAL} is text, not {name}"));
    }
    let known = channel::known(name).ok_or_else(|| {
        let stems = channel::stems();
        format!(
            "channel `{name}` is not known: write one of {stems}, with _total, _l1, _t1 and so on"
        )
    })?;
    let unit = raw.unit.as_deref().ok_or_else(|| format!("{name}: unit is missing"))?;
    let unit: Unit = unit.parse().map_err(|error| format!("{name}: {error}"))?;
    if unit.base() != known.base {
        return Err(format!("{name} is in {} or the like, not in {unit}", known.base));
    }
    match raw.use_.as_deref() {
        Some("cumulative") if known.counts => Ok((Use::Cumulative, unit)),
        Some("cumulative") => Err(format!("{name} does not count: write kind = \"instant\"")),
        Some("instant") if !known.counts => Ok((Use::Instant, unit)),
        Some("instant") => Err(format!("{name} counts: write kind = \"cumulative\"")),
        Some(other) => Err(format!("kind `{other}` is none of cumulative, instant, text")),
        None if known.counts => Ok((Use::Cumulative, unit)),
        None => Ok((Use::Instant, unit)),
    }
}

fn decimal(value: &toml::Value) -> Result<Exact, String> {
    let text = match value {
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::String(text) => text.clone(),
        _ => return Err("range: write two numbers".to_owned()),
    };
    text.parse().map_err(|_| format!("range: `{text}` is no number"))
}

fn absent(raw: Option<&RawAbsent>) -> Result<Vec<Absent>, String> {
    let word = |word: &str| match word {
        "all_ff" => Ok(Absent::AllOnes),
        "highest" => Ok(Absent::HighestSigned),
        "lowest" => Ok(Absent::LowestSigned),
        _ => Err(format!("not_available: `{word}` is none of all_ff, highest, lowest")),
    };
    match raw {
        None => Ok(Vec::new()),
        Some(RawAbsent::Word(text)) => Ok(vec![word(text)?]),
        Some(RawAbsent::List(list)) => {
            let one = |pattern: &RawPattern| match pattern {
                RawPattern::Word(text) => word(text),
                RawPattern::Raw(bits) => u64::try_from(*bits)
                    .map(Absent::Raw)
                    .map_err(|_| format!("not_available: {bits} is negative; write its bits")),
            };
            list.iter().map(one).collect()
        }
    }
}

/// Whether a register can stand beside those before it.
fn fits(profile: &Profile, new: &Register) -> Result<(), String> {
    let name = &new.channel;
    let (from, to) = new.hull();
    if to - u32::from(from) > u32::from(profile.max_read) {
        let what = "does not fit into one request with its scale factor";
        return Err(format!("{name} {what} (max_read {})", profile.max_read));
    }
    let own =
        |r: &Register| (u32::from(r.address), u32::from(r.address) + u32::from(r.kind.words()));
    let (low, high) = own(new);
    for old in &profile.registers {
        if old.channel == *name {
            return Err(format!("channel {name} stands twice"));
        }
        let (from, to) = own(old);
        if old.function == new.function && low < to && from < high {
            return Err(format!("{name} at {:#06X} overlaps {}", new.address, old.channel));
        }
    }
    Ok(())
}

fn check(raw: &RawCheck) -> Result<Check, String> {
    let mut pairs = raw.exchange.clone();
    match (&raw.request, &raw.response) {
        (Some(request), Some(response)) => pairs.push((request.clone(), response.clone())),
        (None, None) if !pairs.is_empty() => {}
        _ => return Err("a check needs request and response, or exchange".to_owned()),
    }
    let bytes =
        |text: &str| of_hex(text).ok_or_else(|| format!("`{text}` is no line of hex bytes"));
    let mut exchange = Vec::new();
    for (request, response) in &pairs {
        let (request, response) = (bytes(request)?, bytes(response)?);
        if ReadRequest::of_pdu(&request).is_none() {
            let what = "is no read: function 03 or 04, address, count (1 to 125)";
            return Err(format!("request {what}"));
        }
        exchange.push((request, response));
    }
    let expect = raw.expect.split(',').map(|part| part.trim().to_owned()).collect();
    Ok(Check { exchange, expect })
}
