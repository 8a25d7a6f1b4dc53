//! Tokens into a tree: operator precedence by binding power (Pratt).

use super::ast::{BinaryOp, COMPARE, Expr, TERNARY, UNARY};
use super::lex::{Token, tokens};
use super::{DEPTH_MAX, ExprError, NODES_MAX, TEXT_MAX};

/// The tree of a text. It may still be wrong in its types.
///
/// # Errors
/// [`ExprError`] at the place of the first fault; also when a limit is passed.
pub fn parse(text: &str) -> Result<Expr, ExprError> {
    if text.len() > TEXT_MAX {
        let message = format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len());
        return Err(ExprError::at(TEXT_MAX, message));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, nodes: 0, level: 0 };
    let expr = parser.expr(TERNARY)?;
    if *parser.peek() != Token::End {
        return Err(parser.fault("an operator or the end was expected"));
    }
    let depth = expr.depth();
    if depth > DEPTH_MAX {
        let message = format!("nested {depth} deep, at most {DEPTH_MAX} levels are allowed");
        return Err(ExprError::at(0, message));
    }
    Ok(expr)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    nodes: usize,
    level: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn offset(&self) -> usize {
        let last = self.tokens.last().map_or(0, |(at, _)| *at);
        self.tokens.get(self.next).map_or(last, |(at, _)| *at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(own) if *own == sign);
        self.next += usize::from(found);
        found
    }

    fn want(&mut self, sign: &'static str) -> Result<(), ExprError> {
        if self.takes(sign) { Ok(()) } else { Err(self.fault(&format!("`{sign}` was expected"))) }
    }

    fn fault(&self, message: &str) -> ExprError {
        ExprError::at(self.offset(), message)
    }

    /// Counts a node.
    fn node(&mut self, expr: Expr) -> Result<Expr, ExprError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.fault(&format!("more than {NODES_MAX} parts")));
        }
        Ok(expr)
    }

    fn expr(&mut self, binding: u8) -> Result<Expr, ExprError> {
        self.level += 1;
        if self.level > DEPTH_MAX + 1 {
            return Err(self.fault(&format!("nested more than {DEPTH_MAX} deep")));
        }
        let mut left = self.operand()?;
        let whole = loop {
            match self.infix(left, binding)? {
                Next::More(expr) => left = expr,
                Next::Done(expr) => break expr,
            }
        };
        self.level -= 1;
        Ok(whole)
    }

    fn infix(&mut self, left: Expr, binding: u8) -> Result<Next, ExprError> {
        match self.peek() {
            Token::Sign("?") if binding == TERNARY => {
                self.next += 1;
                let then = self.expr(TERNARY)?;
                self.want(":")?;
                let other = self.expr(TERNARY)?;
                let expr = Expr::If(Box::new(left), Box::new(then), Box::new(other));
                Ok(Next::Done(self.node(expr)?))
            }
            Token::Word(word) if word == "in" && COMPARE >= binding.max(1) => {
                self.next += 1;
                let list = self.list()?;
                Ok(Next::More(self.node(Expr::In(Box::new(left), list))?))
            }
            Token::Sign(sign) => {
                let known = BinaryOp::ALL.into_iter().find(|op| op.text() == *sign);
                let Some(op) = known.filter(|op| op.binding() >= binding.max(1)) else {
                    return Ok(Next::Done(left));
                };
                self.next += 1;
                let right = self.expr(op.binding() + 1)?;
                let expr = Expr::Binary(op, Box::new(left), Box::new(right));
                Ok(Next::More(self.node(expr)?))
            }
            _ => Ok(Next::Done(left)),
        }
    }

    fn operand(&mut self) -> Result<Expr, ExprError> {
        let at = self.offset();
        match self.take() {
            Token::Number(literal) => self.node(Expr::Number(literal)),
            Token::Text(text) => self.node(Expr::Text(text)),
            Token::Word(word) => match word.as_str() {
                "true" => self.node(Expr::Bool(true)),
                "false" => self.node(Expr::Bool(false)),
                "in" => Err(ExprError::at(at, "`in` stands between a value and a list")),
                _ if self.takes("(") => {
                    let parts = self.arguments(")")?;
                    self.node(Expr::Call(word, parts))
                }
                _ => self.node(Expr::Name(word)),
            },
            Token::Sign("!") => {
                let inner = self.expr(UNARY)?;
                self.node(Expr::Not(Box::new(inner)))
            }
            Token::Sign("-") => {
                let inner = self.expr(UNARY)?;
                self.node(Expr::Neg(Box::new(inner)))
            }
            Token::Sign("(") => {
                let inner = self.expr(TERNARY)?;
                self.want(")")?;
                Ok(inner)
            }
            _ => Err(ExprError::at(at, "a value was expected")),
        }
    }

    fn arguments(&mut self, close: &'static str) -> Result<Vec<Expr>, ExprError> {
        let mut parts = Vec::new();
        if self.takes(close) {
            return Ok(parts);
        }
        loop {
            parts.push(self.expr(TERNARY)?);
            if self.takes(close) {
                return Ok(parts);
            }
            if !self.takes(",") {
                return Err(self.fault(&format!("`,` or `{close}` was expected")));
            }
        }
    }

    /// A list of literals.
    fn list(&mut self) -> Result<Vec<Expr>, ExprError> {
        let at = self.offset();
        self.want("[")?;
        let parts = self.arguments("]")?;
        let literal = |part: &Expr| match part {
            Expr::Number(_) | Expr::Text(_) => true,
            Expr::Neg(inner) => matches!(**inner, Expr::Number(_)),
            _ => false,
        };
        if parts.is_empty() || !parts.iter().all(literal) {
            return Err(ExprError::at(at, "a list holds one or more numbers or texts"));
        }
        Ok(parts)
    }
}

/// What follows an operand.
enum Next {
    More(Expr),
    Done(Expr),
}
