//! The vocabulary of metering: what a reading is, before anyone knows how it arrived or what it costs.
//!
//! In the order a reading travels: who ([`ids`], [`asset`]), what ([`reading_type`], [`obis`],
//! [`unit`]), how much ([`exact`]), when ([`time`], [`interval`], [`calendar`]), how far it is to be
//! trusted ([`quality`], [`verdict`]), the reading itself ([`reading`]), what the meter reported
//! ([`event`]) and the records of the event log that carry all of it to the rules ([`log`]).
//!
//! This crate reads no clock, no environment and no random source, and does no I/O.

pub mod asset;
pub mod calendar;
pub mod event;
pub mod exact;
pub mod ids;
pub mod interval;
pub mod log;
pub mod obis;
pub mod quality;
pub mod reading;
pub mod reading_type;
pub mod time;
pub mod unit;
pub mod verdict;

pub use asset::street_number;
pub use asset::{
    BatteryAsset, ChannelAsset, ChannelKind, Chemistry, CollectorAsset, Commodity, CustomerClass,
    MeterAsset, MeterDetail, MeterRole, Tag, WorkOrderKind, WorkOrderStatus, ZoneAsset, ZoneKind,
};
pub use calendar::{DayShape, LocalCalendar};
pub use event::{EventCode, MeterEvent};
pub use exact::{Exact, ExactError, Ratio};
pub use ids::{
    ChannelNo, CollectorId, MeterId, SourceId, Subject, TransformerId, UsagePointId, ZoneId,
};
pub use interval::Interval;
pub use log::{Finding, LogRecord, LoggedFrame, RuleBundle, WorkOrder};
pub use obis::Obis;
pub use quality::{DeviceFlags, QualityStatus, SlotCode};
pub use reading::{IntervalReading, JudgedReading, RegisterReading};
pub use reading_type::{Flow, Quantity, ReadingType};
pub use time::UtcTime;
pub use unit::Unit;
pub use verdict::{Outcome, RuleMask, RuleNo, Severity};
