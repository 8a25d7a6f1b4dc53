//! Whole runs: a simulated fleet, its broker, the head-end, its database.

mod demo;
