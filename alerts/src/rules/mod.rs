//! The rules, each in the file of what it watches. Numbers and names are the catalogue's.

pub(crate) mod battery;
pub(crate) mod collector;
pub(crate) mod headend;
pub(crate) mod silence;
pub(crate) mod stopped;
pub(crate) mod variance;
pub(crate) mod water;
