//! Data records: DIF, VIF and data (EN 13757-3, annex on variable data structures).

use jiff::civil::DateTime;
use metering::Exact;

use super::vif::{self, Meaning};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Function {
    Now,
    Maximum,
    Minimum,
    /// The value while an error lasted.
    Error,
}

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Record {
    pub(super) function: Function,
    /// 0 = now; others are stored values.
    pub(super) storage: u64,
    pub(super) tariff: u32,
    pub(super) device: u16,
    /// `None`: the maker's own.
    pub(super) meaning: Option<Meaning>,
    pub(super) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    /// The device says that it has none.
    Absent,
    Number(Exact),
    Date(DateTime),
    /// Text, or bytes of no standard meaning.
    Other,
}

/// A record's header and where its data stand.
struct Field<'a> {
    /// DIF, DIFEs, VIF, VIFEs.
    header: &'a [u8],
    dif: u8,
    difes: &'a [u8],
    vif: u8,
    vifes: &'a [u8],
    /// The first byte tells the length where the DIF says so.
    data: &'a [u8],
}

/// What follows is the maker's own, or nothing.
const MAKER_DATA: [u8; 2] = [0x0F, 0x1F];
const IDLE: u8 = 0x2F;
const EXTENSIONS_MAX: usize = 10;
/// Records of the shortest kind in the longest telegram.
const RECORDS_MAX: usize = 192;

/// All records in order; what is behind the first one that cannot be read is left out and told.
pub(super) fn records(bytes: &[u8]) -> (Vec<Record>, Option<&'static str>) {
    let mut records = Vec::new();
    let mut rest = bytes;
    loop {
        match next(&mut rest) {
            Ok(Some(field)) if records.len() < RECORDS_MAX => records.push(field.record()),
            Ok(_) => {
                let maker = rest.first().is_some_and(|dif| MAKER_DATA.contains(dif));
                return (records, maker.then_some("maker's data"));
            }
            Err(what) => return (records, Some(what)),
        }
    }
}

/// The headers of all records, as a compact telegram's signature counts them; `None` when the
/// telegram ends in data that have no header.
pub(super) fn headers(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut headers = Vec::new();
    let mut rest = bytes;
    while let Some(field) = next(&mut rest).ok()? {
        headers.extend_from_slice(field.header);
    }
    (!headers.is_empty()).then_some(headers)
}

/// Headers and values as one full telegram.
pub(super) fn interleave(headers: &[u8], values: &[u8]) -> Option<Vec<u8>> {
    let mut full = Vec::with_capacity(headers.len() + values.len());
    let (mut headers, mut values) = (headers, values);
    while !headers.is_empty() {
        let (header, rest) = header(headers).ok()?;
        full.extend_from_slice(header.header);
        let (data, behind) = values.split_at_checked(data_length(header.dif, values).ok()?)?;
        full.extend_from_slice(data);
        (headers, values) = (rest, behind);
    }
    values.is_empty().then_some(full)
}

/// The next record, `None` at the end and before the maker's own data.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Field<'a>>, &'static str> {
    while let [IDLE, behind @ ..] = *rest {
        *rest = behind;
    }
    match rest.first() {
        None => return Ok(None),
        Some(dif) if MAKER_DATA.contains(dif) => return Ok(None),
        _ => {}
    }
    let (mut field, behind) = header(rest)?;
    let length = data_length(field.dif, behind)?;
    let (data, behind) = behind.split_at_checked(length).ok_or("a record is cut off")?;
    field.data = data;
    *rest = behind;
    Ok(Some(field))
}

fn header(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), &'static str> {
    const CUT: &str = "a record's header is cut off";
    let dif = *bytes.first().ok_or(CUT)?;
    let difes = extensions(dif, bytes.get(1..).ok_or(CUT)?)?;
    let vif_at = 1 + difes.len();
    let vif = *bytes.get(vif_at).ok_or(CUT)?;
    let mut vifes_at = vif_at + 1;
    if vif & 0x7F == 0x7C {
        // A unit in letters stands behind the VIF, its length first.
        vifes_at += 1 + usize::from(*bytes.get(vifes_at).ok_or(CUT)?);
    }
    let vifes = extensions(vif, bytes.get(vifes_at..).ok_or(CUT)?)?;
    let (header, rest) = bytes.split_at(vifes_at + vifes.len());
    Ok((Field { header, dif, difes, vif, vifes, data: &[] }, rest))
}

/// Bytes that follow `first` as long as the one before has its extension bit.
fn extensions(first: u8, bytes: &[u8]) -> Result<&[u8], &'static str> {
    if first & 0x80 == 0 {
        return Ok(&[]);
    }
    let last = bytes.iter().take(EXTENSIONS_MAX).position(|byte| byte & 0x80 == 0);
    let last = last.ok_or("a header is extended beyond 10 bytes")?;
    Ok(&bytes[..=last])
}

fn data_length(dif: u8, bytes: &[u8]) -> Result<usize, &'static str> {
    Ok(match dif & 0x0F {
        0x00 | 0x08 => 0,
        0x01 | 0x09 => 1,
        0x02 | 0x0A => 2,
        0x03 | 0x0B => 3,
        0x04 | 0x05 | 0x0C => 4,
        0x06 | 0x0E => 6,
        0x07 => 8,
        0x0D => {
            1 + match *bytes.first().ok_or("a record is cut off")? {
                length @ 0x00..=0xBF => usize::from(length),
                length @ 0xC0..=0xDF => usize::from(length & 0x0F),
                length @ 0xE0..=0xEF => usize::from(length & 0x0F),
                length @ 0xF0..=0xF4 => usize::from(length & 0x0F) * 4,
                _ => return Err("a record's length has no meaning"),
            }
        }
        _ => return Err("a record of a reserved kind"),
    })
}

impl Record {
    /// Whether the headers say the same of both.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let place = |record: &Self| (record.function, record.storage, record.tariff, record.device);
        let name = |record: &Self| {
            record.meaning.as_ref().map(|known| (known.base, known.suffix, known.words.clone()))
        };
        place(self) == place(other) && name(self) == name(other)
    }
}

impl Field<'_> {
    fn record(&self) -> Record {
        let mut storage = u64::from(self.dif >> 6 & 1);
        let (mut tariff, mut device) = (0_u32, 0_u16);
        for (n, dife) in (0_u32..).zip(self.difes) {
            // At most ten: 41 bits of storage, 20 of tariff, 10 of device.
            storage |= u64::from(dife & 0x0F) << (1 + 4 * n);
            tariff |= u32::from(dife >> 4 & 3) << (2 * n);
            device |= u16::from(dife >> 6 & 1) << n;
        }
        let function = match self.dif >> 4 & 3 {
            0 => Function::Now,
            1 => Function::Maximum,
            2 => Function::Minimum,
            _ => Function::Error,
        };
        let meaning = vif::meaning(self.vif, self.vifes);
        let value = self.value(meaning.as_ref());
        Record { function, storage, tariff, device, meaning, value }
    }

    fn value(&self, meaning: Option<&Meaning>) -> Value {
        let Some(meaning) = meaning else { return Value::Other };
        if meaning.kind == vif::Kind::Date {
            return date(self.data).map_or(Value::Absent, Value::Date);
        }
        let number = match (self.dif & 0x0F, self.data) {
            (0x00 | 0x08, _) => return Value::Absent,
            (0x01..=0x04 | 0x06 | 0x07, data) => match integer(data) {
                Some(number) => Some(Exact::whole(number)),
                None => return Value::Absent,
            },
            (0x05, data) => data.try_into().ok().and_then(|data| float(f32::from_le_bytes(data))),
            (0x09..=0x0C | 0x0E, data) => bcd(data).map(Exact::whole),
            (0x0D, [kind @ 0xC0..=0xDF, data @ ..]) => bcd(data)
                .map(|number| if *kind >= 0xD0 { -number } else { number })
                .map(Exact::whole),
            (0x0D, [0xE0..=0xE8, data @ ..]) => integer(data).map(Exact::whole),
            _ => return Value::Other,
        };
        number.and_then(|number| scaled(number, meaning)).map_or(Value::Absent, Value::Number)
    }
}

fn scaled(number: Exact, meaning: &Meaning) -> Option<Exact> {
    let mantissa = number.mantissa().checked_mul(meaning.factor)?;
    Exact::new(mantissa, number.exponent().checked_add(meaning.exponent)?).ok()
}

/// Signed, low byte first; the lowest number of its width means "not available". None is of no bytes.
fn integer(data: &[u8]) -> Option<i64> {
    let last = *data.last()?;
    let lowest = last == 0x80 && data[..data.len() - 1].iter().all(|byte| *byte == 0);
    let mut wide = [if last & 0x80 == 0 { 0 } else { 0xFF }; 8];
    wide.get_mut(..data.len())?.copy_from_slice(data);
    (!lowest || data.len() == 1).then(|| i64::from_le_bytes(wide))
}

/// Decimal digits, low byte first; an `F` in the highest place is a minus sign. `None` for any
/// other letter, by which a device says that it has no value.
fn bcd(data: &[u8]) -> Option<i64> {
    let mut number = 0_i64;
    let mut negative = false;
    for (at, byte) in data.iter().rev().enumerate() {
        for (nibble_at, digit) in [byte >> 4, byte & 0x0F].into_iter().enumerate() {
            match digit {
                0..=9 => number = number.checked_mul(10)?.checked_add(i64::from(digit))?,
                0x0F if at == 0 && nibble_at == 0 => negative = true,
                _ => return None,
            }
        }
    }
    Some(if negative { -number } else { number })
}

/// The shortest decimal that is this float: the only place where one arrives.
fn float(value: f32) -> Option<Exact> {
    value.is_finite().then(|| value.to_string().parse().ok()).flatten()
}

/// Types G (2 bytes), F (4 bytes) and I (6 bytes); `None` where the device has none.
fn date(data: &[u8]) -> Option<DateTime> {
    let number = |value: u8| i8::try_from(value).ok();
    let of = |low: u8, high: u8, (hour, minute, second): (u8, u8, u8)| {
        let year = i16::from(low >> 5 | (high & 0xF0) >> 1);
        // Two digits: 81 to 99 are of the last century.
        let year = if year > 80 { 1900 + year } else { 2000 + year };
        let (month, day) = (number(high & 0x0F)?, number(low & 0x1F)?);
        DateTime::new(year, month, day, number(hour)?, number(minute)?, number(second)?, 0).ok()
    };
    match *data {
        [low, high] => of(low, high, (0, 0, 0)),
        [minute, hour, low, high] if minute & 0x80 == 0 => {
            of(low, high, (hour & 0x1F, minute & 0x3F, 0))
        }
        [second, minute, hour, low, high, _] => {
            of(low, high, (hour & 0x1F, minute & 0x3F, (second & 0x3F).min(59)))
        }
        _ => None,
    }
}
