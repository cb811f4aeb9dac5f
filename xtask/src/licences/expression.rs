//! SPDX licence expressions, as they stand in the manifests of packages.
//!
//! ```text
//! any  = all (("OR" | "/") all)*
//! all  = one ("AND" one)*
//! one  = "(" any ")" | name ["WITH" name]
//! ```
//!
//! The slash is how manifests wrote "or" before they used SPDX.

/// A licence expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A licence, together with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    /// Whoever uses the package may choose.
    Any(Vec<Expression>),
    /// All of them bind at once.
    All(Vec<Expression>),
}

impl Expression {
    /// Reads an expression. An error says what was found in place of what.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = Words { rest: spaced.split_whitespace().collect(), next: 0 };
        let expression = any(&mut words)?;
        match words.peek() {
            None => Ok(expression),
            Some(word) => Err(format!("{word:?} is one too many")),
        }
    }

    /// Whether the expression can be met with licences that `allows` says yes to.
    pub(super) fn is_met(&self, allows: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(name) => allows(name),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(allows)),
            Self::All(parts) => parts.iter().all(|part| part.is_met(allows)),
        }
    }
}

struct Words<'a> {
    rest: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next += 1;
        }
        found
    }

    fn take_name(&mut self) -> Result<&'a str, String> {
        match self.take() {
            Some(word) if !["(", ")", "OR", "AND", "WITH"].contains(&word) => Ok(word),
            Some(word) => Err(format!("{word:?} stands where a name should")),
            None => Err("it ends where a name should stand".into()),
        }
    }
}

fn any(words: &mut Words<'_>) -> Result<Expression, String> {
    let first = all(words)?;
    let mut parts = vec![first];
    while words.take_if("OR") {
        parts.push(all(words)?);
    }
    Ok(single_or(parts, Expression::Any))
}

fn all(words: &mut Words<'_>) -> Result<Expression, String> {
    let first = one(words)?;
    let mut parts = vec![first];
    while words.take_if("AND") {
        parts.push(one(words)?);
    }
    Ok(single_or(parts, Expression::All))
}

fn one(words: &mut Words<'_>) -> Result<Expression, String> {
    if words.take_if("(") {
        let inner = any(words)?;
        return if words.take_if(")") {
            Ok(inner)
        } else {
            Err("a parenthesis is not closed".into())
        };
    }
    let name = words.take_name()?;
    if words.take_if("WITH") {
        let exception = words.take_name()?;
        return Ok(Expression::Licence(format!("{name} WITH {exception}")));
    }
    Ok(Expression::Licence(name.to_owned()))
}

fn single_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(text: &str, allowed: &[&str]) -> bool {
        Expression::parse(text).unwrap().is_met(&|name| allowed.contains(&name))
    }

    #[test]
    fn one_of_several_is_enough_where_there_is_a_choice() {
        assert!(is_met("MIT", &["MIT"]));
        assert!(is_met("GPL-3.0 OR MIT", &["MIT"]));
        assert!(is_met("GPL-3.0/MIT", &["MIT"]));
        assert!(is_met("GPL-3.0 / MIT", &["MIT"]));
        assert!(!is_met("GPL-3.0 OR LGPL-3.0", &["MIT"]));
    }

    #[test]
    fn all_that_bind_at_once_are_needed() {
        assert!(is_met("MIT AND ISC", &["MIT", "ISC"]));
        assert!(!is_met("MIT AND ISC", &["MIT"]));
    }

    #[test]
    fn and_binds_closer_than_or_unless_parentheses_say_otherwise() {
        assert!(is_met("MIT OR ISC AND GPL-3.0", &["MIT"]));
        assert!(!is_met("(MIT OR ISC) AND GPL-3.0", &["MIT"]));
        assert!(is_met("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Unicode-3.0"]));
        assert!(is_met("((MIT))", &["MIT"]));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        let text = "Apache-2.0 WITH LLVM-exception OR GPL-3.0";
        assert!(is_met(text, &["Apache-2.0 WITH LLVM-exception"]));
        assert!(!is_met(text, &["Apache-2.0"]));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH", "()", "AND"] {
            assert!(Expression::parse(text).is_err(), "{text:?}");
        }
    }
}
