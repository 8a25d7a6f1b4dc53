//! Canonical bytes of the engine's state: the same state always gives the same bytes.
//!
//! Layout: magic `AMIR`, schema version, SHA-256 of the parameters, body, CRC-32C of all before.
//! Integers are varints (zigzag), so that small numbers are small.

/// Why a snapshot cannot be used. The way out is always the same: replay the log from its start, or
/// from an older snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the bytes are no rule snapshot: replay the event log instead")]
    NotASnapshot,
    #[error(
        "the check sum of the rule snapshot is wrong: use an older one or replay the event log"
    )]
    Damaged,
    #[error(
        "the rule snapshot has layout {found}, this program reads {wanted}: replay the event log"
    )]
    OtherVersion { found: u64, wanted: u64 },
    #[error("the rule snapshot was taken with other rule parameters: replay the event log")]
    OtherParams,
}

use std::collections::BTreeMap;

const MAGIC: [u8; 4] = *b"AMIR";
/// Raised with every change of a stored struct.
pub(crate) const SCHEMA_VERSION: u64 = 12;
const CRC_BYTES: usize = 4;

/// Writes values one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// Reads them back.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

/// A part of the state. `load` refuses what `save` cannot have written.
pub(crate) trait Snap: Sized {
    fn save(&self, to: &mut Writer);
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError>;
}

impl Writer {
    pub(crate) fn start(params_hash: &[u8; 32]) -> Self {
        let mut this = Self::default();
        this.bytes.extend_from_slice(&MAGIC);
        this.unsigned(SCHEMA_VERSION);
        this.bytes.extend_from_slice(params_hash);
        this
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let crc = crc32c::crc32c(&self.bytes);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        self.bytes
    }

    pub(crate) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7F).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).unwrap_or_default());
    }

    pub(crate) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn start(bytes: &'a [u8], params_hash: &[u8; 32]) -> Result<Self, SnapshotError> {
        let Some(rest) = bytes.strip_prefix(&MAGIC) else {
            return Err(SnapshotError::NotASnapshot);
        };
        let Some(body_len) = bytes.len().checked_sub(CRC_BYTES) else {
            return Err(SnapshotError::NotASnapshot);
        };
        let (body, crc) = bytes.split_at(body_len);
        if crc32c::crc32c(body).to_le_bytes() != *crc || rest.len() < CRC_BYTES {
            return Err(SnapshotError::Damaged);
        }
        let mut this = Self { bytes: &body[MAGIC.len()..] };
        let found = this.unsigned()?;
        if found != SCHEMA_VERSION {
            return Err(SnapshotError::OtherVersion { found, wanted: SCHEMA_VERSION });
        }
        if this.take(32)? != params_hash {
            return Err(SnapshotError::OtherParams);
        }
        Ok(this)
    }

    pub(crate) fn finish(self) -> Result<(), SnapshotError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(SnapshotError::Damaged) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], SnapshotError> {
        let (head, tail) = self.bytes.split_at_checked(len).ok_or(SnapshotError::Damaged)?;
        self.bytes = tail;
        Ok(head)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, SnapshotError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(SnapshotError::Damaged)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, SnapshotError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A count of parts, each at least one byte long: never more than there are bytes.
    pub(crate) fn count(&mut self) -> Result<usize, SnapshotError> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| SnapshotError::Damaged)?;
        if count > self.bytes.len() { Err(SnapshotError::Damaged) } else { Ok(count) }
    }
}

macro_rules! snap_integer {
    ($($type:ty => $save:ident $wide:ty),*) => {$(
        impl Snap for $type {
            fn save(&self, to: &mut Writer) {
                to.$save(<$wide>::from(*self));
            }
            fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
                Self::try_from(from.$save()?).map_err(|_| SnapshotError::Damaged)
            }
        }
    )*};
}
snap_integer!(u8 => unsigned u64, u16 => unsigned u64, u32 => unsigned u64, u64 => unsigned u64,
    i16 => signed i64, i32 => signed i64, i64 => signed i64);

impl Snap for bool {
    fn save(&self, to: &mut Writer) {
        to.unsigned(u64::from(*self));
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        match from.unsigned()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(SnapshotError::Damaged),
        }
    }
}

impl Snap for f64 {
    fn save(&self, to: &mut Writer) {
        to.bytes.extend_from_slice(&self.to_bits().to_le_bytes());
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let bytes = from.take(8)?.try_into().map_err(|_| SnapshotError::Damaged)?;
        Ok(Self::from_bits(u64::from_le_bytes(bytes)))
    }
}

impl Snap for String {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.len() as u64);
        to.bytes.extend_from_slice(self.as_bytes());
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let len = from.count()?;
        let text = std::str::from_utf8(from.take(len)?).map_err(|_| SnapshotError::Damaged)?;
        Ok(text.to_owned())
    }
}

impl<T: Snap> Snap for Vec<T> {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.len() as u64);
        for part in self {
            part.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let count = from.count()?;
        (0..count).map(|_| T::load(from)).collect()
    }
}

impl<T: Snap> Snap for Box<[T]> {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.len() as u64);
        for part in self {
            part.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Vec::load(from).map(Vec::into_boxed_slice)
    }
}

impl<T: Snap> Snap for Option<T> {
    fn save(&self, to: &mut Writer) {
        self.is_some().save(to);
        if let Some(value) = self {
            value.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        if bool::load(from)? { T::load(from).map(Some) } else { Ok(None) }
    }
}

impl<K: Snap + Ord, V: Snap> Snap for BTreeMap<K, V> {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.len() as u64);
        for (key, value) in self {
            key.save(to);
            value.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let count = from.count()?;
        (0..count).map(|_| Ok((K::load(from)?, V::load(from)?))).collect()
    }
}

impl Snap for (i32, i32) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((i32::load(from)?, i32::load(from)?))
    }
}

impl Snap for (i32, i16, u32) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
        self.2.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((i32::load(from)?, i16::load(from)?, u32::load(from)?))
    }
}

impl<T: Snap> Snap for Box<T> {
    fn save(&self, to: &mut Writer) {
        T::save(self, to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        T::load(from).map(Self::new)
    }
}

impl<T: Snap + Copy + Default, const N: usize> Snap for [T; N] {
    fn save(&self, to: &mut Writer) {
        for part in self {
            part.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut parts = [T::default(); N];
        for part in &mut parts {
            *part = T::load(from)?;
        }
        Ok(parts)
    }
}

/// Saves and loads a struct field by field.
macro_rules! snap_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::snapshot::Snap for $type {
            fn save(&self, to: &mut $crate::snapshot::Writer) {
                let Self { $($field),* } = self;
                $($crate::snapshot::Snap::save($field, to);)*
            }
            fn load(
                from: &mut $crate::snapshot::Reader<'_>,
            ) -> Result<Self, $crate::snapshot::SnapshotError> {
                Ok(Self { $($field: $crate::snapshot::Snap::load(from)?),* })
            }
        }
    };
}
pub(crate) use snap_struct;

/// Saves and loads a type by a number and back.
macro_rules! snap_by {
    ($type:ty, $number:ty, $to:expr, $from:expr) => {
        impl $crate::snapshot::Snap for $type {
            fn save(&self, to: &mut $crate::snapshot::Writer) {
                let number: $number = ($to)(*self);
                $crate::snapshot::Snap::save(&number, to);
            }
            fn load(
                from: &mut $crate::snapshot::Reader<'_>,
            ) -> Result<Self, $crate::snapshot::SnapshotError> {
                let number = <$number as $crate::snapshot::Snap>::load(from)?;
                ($from)(number).ok_or($crate::snapshot::SnapshotError::Damaged)
            }
        }
    };
}

pub(crate) use snap_by;

/// Place of a value in a list of all values.
pub(crate) fn place<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|one| one == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

use crate::cause::Cause;
use metering::{
    CollectorId, Commodity, CustomerClass, MeterId, RuleNo, Severity, Subject, TransformerId,
    ZoneId,
};

snap_by!(MeterId, i32, MeterId::get, |number| Some(MeterId::new(number)));
snap_by!(CollectorId, i32, CollectorId::get, |number| Some(CollectorId::new(number)));
snap_by!(TransformerId, i32, TransformerId::get, |number| Some(TransformerId::new(number)));
snap_by!(ZoneId, i32, ZoneId::get, |number| Some(ZoneId::new(number)));
snap_by!(RuleNo, u8, RuleNo::get, RuleNo::new);
snap_by!(Cause, u8, Cause::index, Cause::from_index);
snap_by!(Severity, i16, Severity::number, Severity::from_number);
snap_by!(Commodity, u8, |value| place(Commodity::ALL, &value), |at: u8| Commodity::ALL
    .get(usize::from(at))
    .copied());
snap_by!(CustomerClass, u8, |value| place(CustomerClass::ALL, &value), |at: u8| {
    CustomerClass::ALL.get(usize::from(at)).copied()
});

impl Snap for Subject {
    fn save(&self, to: &mut Writer) {
        let kind: u8 = match self {
            Self::Meter(_) => 0,
            Self::Collector(_) => 1,
            Self::Headend => 2,
            Self::Transformer(_) => 3,
            Self::Zone(_) => 4,
        };
        kind.save(to);
        self.number().save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (kind, number) = (u8::load(from)?, i32::load(from)?);
        match kind {
            0 => Ok(Self::Meter(MeterId::new(number))),
            1 => Ok(Self::Collector(CollectorId::new(number))),
            2 => Ok(Self::Headend),
            3 => Ok(Self::Transformer(TransformerId::new(number))),
            4 => Ok(Self::Zone(ZoneId::new(number))),
            _ => Err(SnapshotError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back(a: i64, b: u64, c: Vec<i16>, d: Option<bool>, e: String) {
            let mut writer = Writer::start(&[7; 32]);
            a.save(&mut writer);
            b.save(&mut writer);
            c.save(&mut writer);
            d.save(&mut writer);
            e.save(&mut writer);
            let bytes = writer.finish();
            let mut reader = Reader::start(&bytes, &[7; 32]).unwrap();
            prop_assert_eq!(i64::load(&mut reader).unwrap(), a);
            prop_assert_eq!(u64::load(&mut reader).unwrap(), b);
            prop_assert_eq!(Vec::<i16>::load(&mut reader).unwrap(), c);
            prop_assert_eq!(Option::<bool>::load(&mut reader).unwrap(), d);
            prop_assert_eq!(String::load(&mut reader).unwrap(), e);
            reader.finish().unwrap();
        }
    }
}
