//! A compiled predicate: operations over registers on the stack, one after the other.

use std::cmp::Ordering;

use metering::Tag;

use super::ast::BinaryOp;
use crate::features::Feature;

/// Registers of a program.
pub(super) const REGISTERS: usize = 72;

/// A value at run time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// Not known: propagates.
    Unknown,
    Bool(bool),
    /// In the unit of the feature or literal; always finite.
    Number(f64),
    Text(&'a str),
}

/// The outcome of a predicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Truth {
    False,
    Unknown,
    True,
}

/// Where a program finds the features of a meter.
pub trait FeatureSource {
    /// In the unit of the feature's description; [`Value::Unknown`] when it is not known.
    fn value(&self, feature: Feature) -> Value<'_>;

    fn has_tag(&self, tag: Tag) -> bool;
}

/// One operation; operands are registers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Op {
    Bool(bool),
    Number(f64),
    /// Of the program's texts.
    Text(u16),
    Load(Feature),
    Tag(Tag),
    /// The value is known.
    Has(u8),
    Not(u8),
    Neg(u8),
    Abs(u8),
    /// Times a constant: one unit into another.
    Scale(u8, f64),
    Min(u8, u8),
    Max(u8, u8),
    Binary(BinaryOp, u8, u8),
    /// Condition, then, else.
    Select(u8, u8, u8),
}

/// A program: [`Self::truth`] runs it.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    pub(super) ops: Vec<(u8, Op)>,
    pub(super) texts: Vec<String>,
    /// Register that holds the result.
    pub(super) result: u8,
}

impl Program {
    /// Operations: what one evaluation costs, always.
    pub fn cost(&self) -> usize {
        self.ops.len()
    }

    /// The features that it reads.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        self.ops.iter().filter_map(|(_, op)| match op {
            Op::Load(feature) => Some(*feature),
            _ => None,
        })
    }

    /// Evaluates it for one meter.
    pub fn truth(&self, source: &dyn FeatureSource) -> Truth {
        let mut registers = [Value::Unknown; REGISTERS];
        for (to, op) in &self.ops {
            let value = self.step(*op, &registers, source);
            if let Some(register) = registers.get_mut(usize::from(*to)) {
                *register = value;
            }
        }
        match read(&registers, self.result) {
            Value::Bool(true) => Truth::True,
            Value::Bool(false) => Truth::False,
            _ => Truth::Unknown,
        }
    }

    fn step<'a>(
        &'a self,
        op: Op,
        registers: &[Value<'a>; REGISTERS],
        source: &'a dyn FeatureSource,
    ) -> Value<'a> {
        let get = |at: u8| read(registers, at);
        match op {
            Op::Bool(value) => Value::Bool(value),
            Op::Number(value) => Value::Number(value),
            Op::Text(at) => {
                self.texts.get(usize::from(at)).map_or(Value::Unknown, |text| Value::Text(text))
            }
            Op::Load(feature) => match source.value(feature) {
                Value::Number(number) => finite(number),
                other => other,
            },
            Op::Tag(tag) => Value::Bool(source.has_tag(tag)),
            Op::Has(at) => Value::Bool(get(at) != Value::Unknown),
            Op::Not(at) => match get(at) {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Unknown,
            },
            Op::Neg(at) => number(get(at), |x| -x),
            Op::Abs(at) => number(get(at), f64::abs),
            Op::Scale(at, factor) => number(get(at), |x| x * factor),
            Op::Min(a, b) => numbers(get(a), get(b), |a, b| if b < a { b } else { a }),
            Op::Max(a, b) => numbers(get(a), get(b), |a, b| if b > a { b } else { a }),
            Op::Binary(op, a, b) => binary(op, get(a), get(b)),
            Op::Select(c, a, b) => match get(c) {
                Value::Bool(true) => get(a),
                Value::Bool(false) => get(b),
                _ => Value::Unknown,
            },
        }
    }
}

fn read<'a>(registers: &[Value<'a>; REGISTERS], at: u8) -> Value<'a> {
    registers.get(usize::from(at)).copied().unwrap_or(Value::Unknown)
}

fn finite<'a>(number: f64) -> Value<'a> {
    if number.is_finite() { Value::Number(number) } else { Value::Unknown }
}

fn number(value: Value<'_>, f: impl Fn(f64) -> f64) -> Value<'_> {
    match value {
        Value::Number(number) => finite(f(number)),
        _ => Value::Unknown,
    }
}

fn numbers<'a>(a: Value<'a>, b: Value<'a>, f: impl Fn(f64, f64) -> f64) -> Value<'a> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => finite(f(a, b)),
        _ => Value::Unknown,
    }
}

fn binary<'a>(op: BinaryOp, a: Value<'a>, b: Value<'a>) -> Value<'a> {
    match op {
        BinaryOp::And => and(a, b),
        BinaryOp::Or => or(a, b),
        BinaryOp::Add => numbers(a, b, |a, b| a + b),
        BinaryOp::Sub => numbers(a, b, |a, b| a - b),
        BinaryOp::Mul => numbers(a, b, |a, b| a * b),
        // By zero: not finite, so unknown.
        BinaryOp::Div => numbers(a, b, |a, b| a / b),
        BinaryOp::Rem => numbers(a, b, |a, b| a % b),
        compare => order(a, b).map_or(Value::Unknown, |found| Value::Bool(holds(compare, found))),
    }
}

/// Kleene: false decides.
fn and<'a>(a: Value<'a>, b: Value<'a>) -> Value<'a> {
    match (a, b) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        (Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
        _ => Value::Unknown,
    }
}

/// Kleene: true decides.
fn or<'a>(a: Value<'a>, b: Value<'a>) -> Value<'a> {
    match (a, b) {
        (Value::Bool(true), _) | (_, Value::Bool(true)) => Value::Bool(true),
        (Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
        _ => Value::Unknown,
    }
}

fn order(a: Value<'_>, b: Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(&b),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn holds(op: BinaryOp, found: Ordering) -> bool {
    match op {
        BinaryOp::Eq => found == Ordering::Equal,
        BinaryOp::Ne => found != Ordering::Equal,
        BinaryOp::Lt => found == Ordering::Less,
        BinaryOp::Le => found != Ordering::Greater,
        BinaryOp::Gt => found == Ordering::Greater,
        _ => found != Ordering::Less,
    }
}
