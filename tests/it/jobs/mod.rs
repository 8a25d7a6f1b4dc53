//! The jobs over a real store, by log time.

mod day_close;
mod estimation;
mod estimation_acts;
mod estimation_repairs;
