//! The jobs over a real store, by log time.

mod day_close;
mod day_inputs;
mod estimation;
mod estimation_acts;
mod estimation_repairs;
mod files_late;
mod inbox;
mod local_days;
mod neighbours;
mod rules_killed;
mod rules_rebuilt;
