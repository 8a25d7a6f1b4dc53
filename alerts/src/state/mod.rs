//! What the engine remembers: per channel ([`channel`], [`days`], [`water`]), per [`meter`] and per
//! [`collector`]. Times are whole seconds since 1970 UTC.

pub(crate) mod cell;
pub(crate) mod channel;
pub(crate) mod collector;
pub(crate) mod days;
pub(crate) mod gaps;
pub(crate) mod hist;
pub(crate) mod link;
pub(crate) mod meter;
pub(crate) mod months;
pub(crate) mod network;
pub(crate) mod nights;
pub(crate) mod open;
pub(crate) mod premises;
pub(crate) mod rare;
pub(crate) mod registers;
pub(crate) mod sec;
pub(crate) mod slots;
pub(crate) mod water;
pub(crate) mod weather;

/// "Never": before any instant that is compared with it.
pub(crate) const NEVER: i64 = i64::MIN / 4;
