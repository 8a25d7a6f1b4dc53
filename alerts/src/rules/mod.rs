//! The rules, each in the file of what it watches. Numbers and names are the catalogue's.

pub(crate) mod backflow;
pub(crate) mod battery;
pub(crate) mod cell;
pub(crate) mod cohort;
pub(crate) mod collector;
pub(crate) mod device;
pub(crate) mod dma;
pub(crate) mod gas_events;
pub(crate) mod hardware;
pub(crate) mod headend;
pub(crate) mod identity;
pub(crate) mod missed;
pub(crate) mod pipe;
pub(crate) mod power;
pub(crate) mod reset;
pub(crate) mod reverse;
pub(crate) mod sewer;
pub(crate) mod silence;
pub(crate) mod stopped;
pub(crate) mod tamper;
pub(crate) mod transformer;
pub(crate) mod variance;
pub(crate) mod verdicts;
pub(crate) mod water;
