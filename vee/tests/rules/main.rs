//! The checks of a closed day, one file by family. Days follow one another as they do in use: each
//! sees the summaries of those before it.

mod rig;

mod clock;
mod close;
mod power_factor;
mod runs;
mod shape;
mod spike;
mod sums;
mod usage;
