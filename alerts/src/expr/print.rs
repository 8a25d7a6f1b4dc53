//! A tree as text that parses to the same tree, with no bracket more than needed.

use std::fmt::{self, Display};

use super::ast::{COMPARE, Expr, Literal, PRIMARY, TERNARY, UNARY};

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.decimals);
        if decimals == 0 {
            write!(f, "{}", self.digits)?;
        } else {
            let scale = 10_u64.pow(u32::from(self.decimals));
            write!(f, "{}.{:0decimals$}", self.digits / scale, self.digits % scale)?;
        }
        f.write_str(self.unit.map_or("", |unit| unit.name))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(literal) => literal.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Name(name) => f.write_str(name),
            Self::Not(inner) => {
                f.write_str("!")?;
                inner.bracketed(UNARY, f)
            }
            Self::Neg(inner) => {
                f.write_str("-")?;
                inner.bracketed(UNARY, f)
            }
            Self::Binary(op, left, right) => {
                left.bracketed(op.binding(), f)?;
                write!(f, " {} ", op.text())?;
                right.bracketed(op.binding() + 1, f)
            }
            Self::If(condition, then, other) => {
                condition.bracketed(TERNARY + 1, f)?;
                write!(f, " ? {then} : {other}")
            }
            Self::Call(name, parts) => {
                write!(f, "{name}(")?;
                list(parts, f)?;
                f.write_str(")")
            }
            Self::In(inner, parts) => {
                inner.bracketed(COMPARE, f)?;
                f.write_str(" in [")?;
                list(parts, f)?;
                f.write_str("]")
            }
        }
    }
}

fn list(parts: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        part.fmt(f)?;
    }
    Ok(())
}

impl Expr {
    fn binding(&self) -> u8 {
        match self {
            Self::If(..) => TERNARY,
            Self::Binary(op, ..) => op.binding(),
            Self::In(..) => COMPARE,
            Self::Not(_) | Self::Neg(_) => UNARY,
            _ => PRIMARY,
        }
    }

    /// In brackets when it binds looser than what is around it.
    fn bracketed(&self, around: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.binding() < around { write!(f, "({self})") } else { self.fmt(f) }
    }
}
