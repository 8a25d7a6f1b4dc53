//! Registers to exact values: word orders, widths, scale factors, and the patterns that mean that
//! there is no value (`protocols.md` 4.4).

use metering::{Exact, ExactError};

use super::channel;
use super::profile::{Absent, Register, RegisterType, Scale, Use, WordOrder};

/// What registers hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoded {
    Value(Exact),
    Text(String),
    /// The device says that it has none; never 0.
    Missing,
    /// A SunSpec accumulator at 0: not supported, or a zero if it was ever more.
    AccumulatorZero,
    /// It cannot be.
    Implausible(Exact),
    /// Not even a number of this type (BCD digits above 9, a scale factor beyond -10 to 10).
    Nonsense,
}

/// Scale factor registers are `i16`; this one says "not implemented".
const NO_SCALE: u16 = 0x8000;

impl Register {
    /// What `word(address)` holds for this register; `None` from `word` counts as missing.
    pub fn decode(&self, word: impl Fn(u16) -> Option<u16>) -> Decoded {
        let mut words = [0_u16; 32];
        let count = usize::from(self.kind.words()).min(words.len());
        for (at, slot) in (self.address..).zip(&mut words[..count]) {
            let Some(raw) = word(at) else { return Decoded::Missing };
            *slot = raw;
        }
        let power = match self.scale {
            Scale::Power(power) => power,
            Scale::Register(at) => match word(at) {
                None | Some(NO_SCALE) => return Decoded::Missing,
                Some(raw) => match i8::try_from(raw.cast_signed()) {
                    Ok(power @ -10..=10) => power,
                    _ => return Decoded::Nonsense,
                },
            },
        };
        self.plausible(self.number(&words[..count], power))
    }

    fn number(&self, words: &[u16], power: i8) -> Decoded {
        if let RegisterType::Text(_) = self.kind {
            return text(words, self.order);
        }
        let bits = bits(words, self.order);
        let width = u32::from(self.kind.words()) * 16;
        if self.absent.iter().any(|absent| absent.is(bits, width)) {
            return Decoded::Missing;
        }
        let exact =
            |mantissa: i64| Exact::new(mantissa, power).map_or(Decoded::Nonsense, Decoded::Value);
        let signed = |shift: u32| exact((bits << shift).cast_signed() >> shift);
        match self.kind {
            RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => {
                i64::try_from(bits).map_or(Decoded::Nonsense, exact)
            }
            RegisterType::I16 => signed(48),
            RegisterType::I32 => signed(32),
            RegisterType::I64 => signed(0),
            RegisterType::Acc32 if bits == 0 => Decoded::AccumulatorZero,
            RegisterType::Acc32 => i64::try_from(bits).map_or(Decoded::Nonsense, exact),
            RegisterType::F32 => {
                let number = f32::from_bits(u32::try_from(bits).unwrap_or(u32::MAX));
                if number.is_finite() { shortest(&number, power) } else { Decoded::Missing }
            }
            RegisterType::F64 => {
                let number = f64::from_bits(bits);
                if number.is_finite() { shortest(&number, power) } else { Decoded::Missing }
            }
            RegisterType::Bcd32 => bcd(bits).map_or(Decoded::Nonsense, exact),
            RegisterType::Text(_) => Decoded::Nonsense,
        }
    }

    /// A value outside of what the channel and the profile allow is none.
    fn plausible(&self, decoded: Decoded) -> Decoded {
        let Decoded::Value(value) = decoded else { return decoded };
        if self.use_ == Use::Text {
            return Decoded::Text(value.to_string());
        }
        let of_name = channel::known(&self.channel).is_none_or(|k| k.holds(value, self.unit));
        let of_range = self.range.is_none_or(|(low, high)| is_within(value, low, high));
        if of_name && of_range { Decoded::Value(value) } else { Decoded::Implausible(value) }
    }
}

impl Absent {
    const fn is(self, bits: u64, width: u32) -> bool {
        let ones = u64::MAX >> (64 - width);
        match self {
            Self::AllOnes => bits == ones,
            Self::HighestSigned => bits == ones >> 1,
            Self::LowestSigned => bits == 1 << (width - 1),
            Self::Raw(raw) => bits == raw,
        }
    }
}

/// The registers as one number, highest byte first.
fn bits(words: &[u16], order: WordOrder) -> u64 {
    let swapped = matches!(order, WordOrder::ByteSwapped | WordOrder::BothSwapped);
    let add = |sum: u64, word: &u16| {
        let word = if swapped { word.swap_bytes() } else { *word };
        sum << 16 | u64::from(word)
    };
    match order {
        WordOrder::Big | WordOrder::ByteSwapped => words.iter().fold(0, add),
        WordOrder::Little | WordOrder::BothSwapped => words.iter().rev().fold(0, add),
    }
}

/// The fewest digits that give the same float: 12345.677734375 is 12345.678. So a value that the
/// device did not change reads the same each time, without digits that it never had.
fn shortest(number: &impl std::fmt::Display, power: i8) -> Decoded {
    let digits: Result<Exact, ExactError> = number.to_string().parse();
    let scaled = digits.and_then(|value| {
        let exponent = value.exponent().checked_add(power).ok_or(ExactError::TooLong)?;
        Exact::new(value.mantissa(), exponent)
    });
    scaled.map_or(Decoded::Nonsense, Decoded::Value)
}

fn bcd(bits: u64) -> Option<i64> {
    let digits = (0..8).rev().map(|at| (bits >> (4 * at)) & 0xF);
    digits.into_iter().try_fold(0_i64, |sum, digit| {
        (digit < 10).then(|| sum * 10 + i64::try_from(digit).unwrap_or(0))
    })
}

fn text(words: &[u16], order: WordOrder) -> Decoded {
    let swapped = matches!(order, WordOrder::ByteSwapped | WordOrder::BothSwapped);
    let bytes = words.iter().flat_map(|word| {
        let [high, low] = word.to_be_bytes();
        if swapped { [low, high] } else { [high, low] }
    });
    let text: String = bytes.take_while(|byte| *byte != 0).map(char::from).collect();
    let text = text.trim();
    if text.is_empty() {
        return Decoded::Missing;
    }
    if !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Decoded::Nonsense;
    }
    Decoded::Text(text.to_owned())
}

fn is_within(value: Exact, low: Exact, high: Exact) -> bool {
    use metering::Ratio;
    let (Ok(value), Ok(low), Ok(high)) =
        (value.times(Ratio::ONE), low.times(Ratio::ONE), high.times(Ratio::ONE))
    else {
        return false;
    };
    let at_most =
        |a: Ratio, b: Ratio| match (a.num().checked_mul(b.den()), b.num().checked_mul(a.den())) {
            (Some(left), Some(right)) => left <= right,
            _ => false,
        };
    at_most(low, value) && at_most(value, high)
}
