//! The tree of a predicate.

use super::units::Unit;

/// A number as written: `digits` with `decimals` of them behind the point, and its unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Literal {
    /// At most 15 digits.
    pub digits: u64,
    /// At most 9.
    pub decimals: u8,
    pub unit: Option<Unit>,
}

impl Literal {
    /// The number in its own unit.
    pub fn value(self) -> f64 {
        let mut scale = 1.0;
        for _ in 0..self.decimals {
            scale *= 10.0;
        }
        // 15 digits are exact in a double.
        let digits = self.digits as f64;
        digits / scale
    }
}

/// An operator between two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl BinaryOp {
    pub const ALL: [Self; 13] = [
        Self::Or,
        Self::And,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Rem,
    ];

    pub const fn text(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }

    /// How tightly it binds; `in` binds as [`COMPARE`], a ternary looser than all.
    pub(crate) const fn binding(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => COMPARE,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Rem => 5,
        }
    }
}

pub(crate) const TERNARY: u8 = 0;
pub(crate) const COMPARE: u8 = 3;
pub(crate) const UNARY: u8 = 6;
pub(crate) const PRIMARY: u8 = 7;

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    Number(Literal),
    Text(String),
    Bool(bool),
    /// A feature.
    Name(String),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// Condition, then, else.
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(String, Vec<Expr>),
    /// One of a list of literals.
    In(Box<Expr>, Vec<Expr>),
}

impl Expr {
    /// Nodes of the tree: the static cost.
    pub fn nodes(&self) -> usize {
        1 + self.parts().map(Self::nodes).sum::<usize>()
    }

    /// Levels of the tree.
    pub fn depth(&self) -> usize {
        1 + self.parts().map(Self::depth).max().unwrap_or(0)
    }

    fn parts(&self) -> impl Iterator<Item = &Self> {
        let (some, list): ([Option<&Self>; 3], &[Self]) = match self {
            Self::Number(_) | Self::Text(_) | Self::Bool(_) | Self::Name(_) => ([None; 3], &[]),
            Self::Not(one) | Self::Neg(one) => ([Some(one), None, None], &[]),
            Self::Binary(_, left, right) => ([Some(left), Some(right), None], &[]),
            Self::If(one, two, three) => ([Some(one), Some(two), Some(three)], &[]),
            Self::Call(_, list) => ([None; 3], list),
            Self::In(one, list) => ([Some(one), None, None], list),
        };
        some.into_iter().flatten().chain(list)
    }
}
