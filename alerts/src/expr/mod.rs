//! The language of operators' rules: a predicate over the features of a meter (`metering-rules` 12,
//! tier 2).
//!
//! `kind == "gas" && has_tag("school") && min_hour_24h > 60Lph && !is_weekend`
//!
//! Text becomes a tree ([`parse`]), the tree is typed and becomes a flat program ([`compile`]), and
//! the program gives true, false or unknown of a meter ([`Program::truth`]). There are no loops and
//! no jumps: a program costs its length, at most [`OPS_MAX`]. What is not known makes the result
//! unknown unless the rest decides it (Kleene: `false && unknown` is false).

mod ast;
mod compile;
mod lex;
mod parse;
mod print;
mod program;
#[cfg(test)]
mod tests;
mod units;

pub use ast::{BinaryOp, Expr, Literal};
pub use compile::compile;
pub use parse::parse;
pub use program::{FeatureSource, Program, Truth, Value};
pub use units::{Dimension, UNITS, Unit};

/// Longest text, in bytes.
pub const TEXT_MAX: usize = 1_024;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 32;
/// Most nodes of a tree.
pub const NODES_MAX: usize = 256;
/// Most operations of a program.
pub const OPS_MAX: usize = 256;

/// Why a text is no predicate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ExprError {
    /// Byte of the text, counted from 1; of a wrong type: 1.
    pub column: usize,
    pub message: String,
}

impl ExprError {
    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { column: offset + 1, message: message.into() }
    }
}

/// Parses and compiles in one go.
///
/// # Errors
/// [`ExprError`] says what is wrong and where.
pub fn predicate(text: &str) -> Result<Program, ExprError> {
    compile(&parse(text)?)
}
