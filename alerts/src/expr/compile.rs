//! Types, units and the flat program of a tree.

use metering::Tag;

use super::ast::{BinaryOp, Expr, Literal};
use super::program::{Op, Program, REGISTERS};
use super::units::{Dimension, Unit};
use super::{DEPTH_MAX, ExprError, NODES_MAX, OPS_MAX};
use crate::features::{Feature, FeatureType};

/// Type of an expression.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Type {
    Bool,
    Text,
    Number(Unit),
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Text => "a text",
            Self::Number(unit) => unit.dimension.word(),
        }
    }
}

/// Checks types and units and makes the program of a predicate.
///
/// # Errors
/// [`ExprError`] names the part that is wrong; also when a limit is passed.
pub fn compile(expr: &Expr) -> Result<Program, ExprError> {
    if expr.depth() > DEPTH_MAX || expr.nodes() > NODES_MAX {
        let message = format!("at most {NODES_MAX} parts and {DEPTH_MAX} levels are allowed");
        return Err(ExprError::at(0, message));
    }
    let mut to = Compiler { ops: Vec::new(), texts: Vec::new() };
    let found = to.expr(expr, 0)?;
    if found != Type::Bool {
        let message = format!("a rule is true or false, this is {}", found.word());
        return Err(ExprError::at(0, message));
    }
    Ok(Program { ops: to.ops, texts: to.texts, result: 0 })
}

struct Compiler {
    ops: Vec<(u8, Op)>,
    texts: Vec<String>,
}

fn wrong<T>(part: &Expr, message: &str) -> Result<T, ExprError> {
    let mut text = part.to_string();
    if let Some((end, _)) = text.char_indices().nth(60) {
        text.truncate(end);
        text.push_str("...");
    }
    Err(ExprError::at(0, format!("`{text}`: {message}")))
}

impl Compiler {
    fn push(&mut self, to: u8, op: Op) -> Result<(), ExprError> {
        if self.ops.len() >= OPS_MAX {
            let message = format!("the rule takes more than {OPS_MAX} operations");
            return Err(ExprError::at(0, message));
        }
        if usize::from(to) >= REGISTERS {
            return Err(ExprError::at(0, "the rule is nested too deep"));
        }
        self.ops.push((to, op));
        Ok(())
    }

    /// Puts the value of `expr` into register `to`; registers above it are free.
    fn expr(&mut self, expr: &Expr, to: u8) -> Result<Type, ExprError> {
        match expr {
            Expr::Bool(value) => {
                self.push(to, Op::Bool(*value))?;
                Ok(Type::Bool)
            }
            Expr::Text(text) => self.text(text, to),
            Expr::Number(literal) => self.literal(*literal, to),
            Expr::Name(name) => self.name(name, to),
            Expr::Not(inner) => match self.expr(inner, to)? {
                Type::Bool => {
                    self.push(to, Op::Not(to))?;
                    Ok(Type::Bool)
                }
                other => wrong(inner, &format!("`!` needs true or false, not {}", other.word())),
            },
            Expr::Neg(inner) => {
                let unit = self.number(inner, to)?;
                self.push(to, Op::Neg(to))?;
                Ok(Type::Number(unit))
            }
            Expr::Binary(op, left, right) => self.binary(expr, (*op, left, right), to),
            Expr::If(condition, then, other) => {
                self.select(expr, [&**condition, &**then, &**other], to)
            }
            Expr::Call(name, parts) => self.call(expr, (name, parts), to),
            Expr::In(inner, list) => self.one_of(expr, (inner, list), to),
        }
    }

    fn text(&mut self, text: &str, to: u8) -> Result<Type, ExprError> {
        let at = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        self.texts.push(long_word(text).to_owned());
        self.push(to, Op::Text(at))?;
        Ok(Type::Text)
    }

    fn literal(&mut self, literal: Literal, to: u8) -> Result<Type, ExprError> {
        self.push(to, Op::Number(literal.value()))?;
        Ok(Type::Number(literal.unit.unwrap_or(Unit::BARE)))
    }

    fn name(&mut self, name: &str, to: u8) -> Result<Type, ExprError> {
        let Some(feature) = Feature::from_name(name) else {
            let near = Feature::nearest(name);
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(ExprError::at(0, format!("there is no feature `{name}`{hint}")));
        };
        self.push(to, Op::Load(feature))?;
        Ok(match feature.info().kind {
            FeatureType::Bool => Type::Bool,
            FeatureType::Text(_) => Type::Text,
            FeatureType::Number(unit) => Type::Number(unit),
        })
    }

    fn number(&mut self, expr: &Expr, to: u8) -> Result<Unit, ExprError> {
        match self.expr(expr, to)? {
            Type::Number(unit) => Ok(unit),
            other => wrong(expr, &format!("a number is needed, not {}", other.word())),
        }
    }

    /// Brings the number in `to` from one unit into another.
    fn convert(&mut self, to: u8, (from, into): (Unit, Unit)) -> Result<(), ExprError> {
        let bare = from.dimension == Dimension::Bare || into.dimension == Dimension::Bare;
        let ratio = from.factor / into.factor;
        if bare || (ratio - 1.0).abs() < f64::EPSILON {
            return Ok(());
        }
        self.push(to, Op::Scale(to, ratio))
    }

    /// The unit that two numbers have together; the right one is converted to the left one's.
    fn same(&mut self, whole: &Expr, to: u8, units: (Unit, Unit)) -> Result<Unit, ExprError> {
        let (left, right) = units;
        if !left.dimension.fits(right.dimension) {
            let (left, right) = (left.dimension.word(), right.dimension.word());
            return wrong(whole, &format!("{left} and {right} do not go together"));
        }
        self.convert(to + 1, (right, left))?;
        let narrow = matches!(left.dimension, Dimension::Bare | Dimension::Use | Dimension::Rate);
        let mut unit = if left.dimension == Dimension::Bare { right } else { left };
        if narrow && right.dimension != Dimension::Bare {
            unit.dimension = right.dimension;
        }
        Ok(unit)
    }

    fn binary(
        &mut self,
        whole: &Expr,
        (op, left, right): (BinaryOp, &Expr, &Expr),
        to: u8,
    ) -> Result<Type, ExprError> {
        let types = (self.expr(left, to)?, self.expr(right, to + 1)?);
        let result = match (op, types) {
            (BinaryOp::And | BinaryOp::Or, (Type::Bool, Type::Bool)) => Type::Bool,
            (BinaryOp::And | BinaryOp::Or, _) => {
                return wrong(whole, &format!("`{}` needs true or false on both sides", op.text()));
            }
            (BinaryOp::Eq | BinaryOp::Ne, (Type::Bool, Type::Bool)) => Type::Bool,
            (BinaryOp::Eq | BinaryOp::Ne, (Type::Text, Type::Text)) => {
                known_texts(left, std::slice::from_ref(right))?;
                known_texts(right, std::slice::from_ref(left))?;
                Type::Bool
            }
            (BinaryOp::Mul | BinaryOp::Div, (Type::Number(a), Type::Number(b))) => {
                Type::Number(self.product(whole, op, to, (a, b))?)
            }
            (_, (Type::Number(a), Type::Number(b))) => {
                let unit = self.same(whole, to, (a, b))?;
                let sum = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Rem);
                if sum { Type::Number(unit) } else { Type::Bool }
            }
            (_, (a, b)) => {
                let (a, b) = (a.word(), b.word());
                return wrong(whole, &format!("`{}` does not join {a} and {b}", op.text()));
            }
        };
        self.push(to, Op::Binary(op, to, to + 1))?;
        Ok(result)
    }

    /// Unit of a product or a quotient: one factor has none, or the units cancel.
    fn product(
        &mut self,
        whole: &Expr,
        op: BinaryOp,
        to: u8,
        (a, b): (Unit, Unit),
    ) -> Result<Unit, ExprError> {
        let plain = |unit: Unit| matches!(unit.dimension, Dimension::Bare | Dimension::One);
        if plain(b) {
            return Ok(if a.dimension == Dimension::Bare { b } else { a });
        }
        if op == BinaryOp::Mul && plain(a) {
            return Ok(b);
        }
        if op == BinaryOp::Div && a.dimension.fits(b.dimension) && !plain(a) {
            self.convert(to + 1, (b, a))?;
            return Ok(Unit::ONE);
        }
        let (a, b) = (a.dimension.word(), b.dimension.word());
        wrong(whole, &format!("`{}` cannot join {a} and {b}", op.text()))
    }

    fn select(&mut self, whole: &Expr, parts: [&Expr; 3], to: u8) -> Result<Type, ExprError> {
        let [condition, then, other] = parts;
        if self.expr(condition, to)? != Type::Bool {
            return wrong(condition, "what stands before `?` must be true or false");
        }
        // The two branches lie side by side, as `same` wants them.
        let types = (self.expr(then, to + 1)?, self.expr(other, to + 2)?);
        let result = match types {
            (Type::Number(a), Type::Number(b)) => Type::Number(self.same(whole, to + 1, (a, b))?),
            (a, b) if a == b => a,
            (a, b) => {
                let (a, b) = (a.word(), b.word());
                return wrong(whole, &format!("gives {a} or {b}; both must be alike"));
            }
        };
        self.push(to, Op::Select(to, to + 1, to + 2))?;
        Ok(result)
    }

    fn call(
        &mut self,
        whole: &Expr,
        (name, parts): (&str, &[Expr]),
        to: u8,
    ) -> Result<Type, ExprError> {
        match (name, parts) {
            ("has_tag", [Expr::Text(tag)]) => {
                let Ok(tag) = tag.parse::<Tag>() else {
                    let known: Vec<&str> = Tag::ALL.iter().map(|tag| tag.word()).collect();
                    return wrong(whole, &format!("the tags are {}", known.join(", ")));
                };
                self.push(to, Op::Tag(tag))?;
                Ok(Type::Bool)
            }
            ("has", [Expr::Name(feature)]) => {
                self.name(feature, to)?;
                self.push(to, Op::Has(to))?;
                Ok(Type::Bool)
            }
            ("abs", [inner]) => {
                let unit = self.number(inner, to)?;
                self.push(to, Op::Abs(to))?;
                Ok(Type::Number(unit))
            }
            ("min" | "max", [first, rest @ ..]) if !rest.is_empty() => {
                let mut unit = self.number(first, to)?;
                for part in rest {
                    let next = self.number(part, to + 1)?;
                    unit = self.same(whole, to, (unit, next))?;
                    let op = if name == "min" { Op::Min } else { Op::Max };
                    self.push(to, op(to, to + 1))?;
                }
                Ok(Type::Number(unit))
            }
            ("has_tag" | "has" | "abs" | "min" | "max", _) => {
                let usage = "use has_tag(\"pv\"), has(feature), abs(x), min(x, y), max(x, y)";
                wrong(whole, usage)
            }
            _ => wrong(whole, "the functions are has_tag, has, abs, min, max"),
        }
    }

    /// `x in [a, b]`: `to` gathers, `to + 1` is x, `to + 2` each of the list.
    fn one_of(
        &mut self,
        whole: &Expr,
        (inner, list): (&Expr, &[Expr]),
        to: u8,
    ) -> Result<Type, ExprError> {
        let found = self.expr(inner, to + 1)?;
        for (at, part) in list.iter().enumerate() {
            match (found, self.expr(part, to + 2)?) {
                (Type::Text, Type::Text) => {}
                (Type::Number(a), Type::Number(b)) => {
                    self.same(whole, to + 1, (a, b))?;
                }
                (a, b) => {
                    let (a, b) = (a.word(), b.word());
                    return wrong(whole, &format!("{a} is never {b}"));
                }
            }
            self.push(to + 2, Op::Binary(BinaryOp::Eq, to + 1, to + 2))?;
            if at == 0 {
                self.push(to, Op::Bool(false))?;
            }
            self.push(to, Op::Binary(BinaryOp::Or, to, to + 2))?;
        }
        known_texts(inner, list)?;
        Ok(Type::Bool)
    }
}

/// The trade's short word for a class.
fn long_word(text: &str) -> &str {
    if text == "mdu" { "multi_dwelling" } else { text }
}

/// A feature of text has few values: another one is a slip of the pen.
fn known_texts(name: &Expr, texts: &[Expr]) -> Result<(), ExprError> {
    let Expr::Name(name) = name else { return Ok(()) };
    let Some(FeatureType::Text(known)) = Feature::from_name(name).map(|f| f.info().kind) else {
        return Ok(());
    };
    for text in texts {
        if let Expr::Text(text) = text
            && !known.contains(&long_word(text))
        {
            let known = known.join(", ");
            let message = format!("`{name}` is never \"{text}\"; it is one of {known}");
            return Err(ExprError::at(0, message));
        }
    }
    Ok(())
}
