//! Questions of the console, the API and the command line, one file per subject. Nothing here
//! writes. Every answer is bounded; lists are read by key ([`page`]). Intervals are named by their
//! END outside SQL; values are milli-units of the reading type's base unit.

pub mod activity;
pub mod alarms;
mod ask;
pub mod collectors;
pub mod estimates;
pub mod export;
pub mod fleet;
pub mod hearing;
pub mod intake;
pub mod issues;
pub mod live;
pub mod meters;
pub mod names;
pub mod node_list;
pub mod nodes;
pub mod orders;
pub mod page;
pub mod review;
pub mod rules;
pub mod series;
mod sql;
pub mod system;

pub use page::{Cursor, CursorError, Page};
