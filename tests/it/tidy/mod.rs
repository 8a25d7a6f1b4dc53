//! The house rules that a machine can check (`docs/style` in short: small files, one way in, no SQL
//! outside the store, no clock in pure crates, nothing forbidden in the tree).

mod content;
mod dependencies;
mod sizes;
mod tree;
