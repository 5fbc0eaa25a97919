//! The filter grammar: `attr op "value"` with eq, ne, co, sw (and pr), joined by `and` and `or`, with parentheses.
//! `and` binds tighter. Values stand in double quotes; the vendor refuses single ones (TF#3136). More than 200 nodes
//! are refused (docs.databricks.com/aws/en/reference/scim-2-1).

use crate::error::ApiError;

pub const MAX_NODES: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    Present,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    Compare {
        attribute: String,
        operator: Operator,
        value: String,
    },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    Quoted(String),
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "INVALID_FILTER", message).scim("invalidFilter")
}

impl Filter {
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            nodes: 0,
        };
        let filter = parser.or()?;
        match parser.next() {
            None => Ok(filter),
            Some(extra) => Err(refuse(format!(
                "Unexpected {extra:?} after the end of the filter"
            ))),
        }
    }

    /// Whether a resource passes; `values` gives what an attribute (lower-cased) holds.
    pub fn accepts(&self, values: &dyn Fn(&str) -> Vec<String>) -> bool {
        match self {
            Self::And(left, right) => left.accepts(values) && right.accepts(values),
            Self::Or(left, right) => left.accepts(values) || right.accepts(values),
            Self::Compare {
                attribute,
                operator,
                value,
            } => {
                let wanted = value.to_lowercase();
                let held = values(attribute);
                // SCIM string attributes are caseExact=false unless said otherwise.
                let any = |test: &dyn Fn(&str) -> bool| held.iter().any(|one| test(&one.to_lowercase()));
                match operator {
                    Operator::Equal => any(&|one| one == wanted),
                    Operator::NotEqual => !any(&|one| one == wanted),
                    Operator::Contains => any(&|one| one.contains(&wanted)),
                    Operator::StartsWith => any(&|one| one.starts_with(&wanted)),
                    Operator::Present => !held.is_empty(),
                }
            }
        }
    }

    /// The resources that can pass at all, where indexes can tell; `None` means: look at every one.
    pub fn candidates(&self, index: &dyn Fn(&str, &str) -> Option<Vec<u64>>) -> Option<Vec<u64>> {
        match self {
            Self::Compare {
                attribute,
                operator: Operator::Equal,
                value,
            } => index(attribute, value),
            Self::Compare { .. } => None,
            Self::And(left, right) => left.candidates(index).or_else(|| right.candidates(index)),
            Self::Or(left, right) => {
                let mut all = left.candidates(index)?;
                all.extend(right.candidates(index)?);
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
        }
    }

    pub fn attributes(&self) -> Vec<&str> {
        match self {
            Self::Compare { attribute, .. } => vec![attribute],
            Self::And(left, right) | Self::Or(left, right) => {
                let mut all = left.attributes();
                all.extend(right.attributes());
                all
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        match next {
            ' ' | '\t' => {
                chars.next();
            }
            '(' => {
                chars.next();
                found.push(Token::Open);
            }
            ')' => {
                chars.next();
                found.push(Token::Close);
            }
            '\'' => return Err(refuse("Values must be quoted with double quotes")),
            '"' => {
                chars.next();
                found.push(Token::Quoted(quoted(&mut chars)?));
            }
            _ => {
                let mut word = String::new();
                while let Some(&letter) = chars.peek() {
                    if matches!(letter, ' ' | '\t' | '(' | ')' | '"' | '\'') {
                        break;
                    }
                    word.push(letter);
                    chars.next();
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

fn quoted(chars: &mut impl Iterator<Item = char>) -> Result<String, ApiError> {
    let mut value = String::new();
    while let Some(letter) = chars.next() {
        match letter {
            '"' => return Ok(value),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '/')) => value.push(escaped),
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                _ => return Err(refuse("Unknown escape in a filter value")),
            },
            other => value.push(other),
        }
    }
    Err(refuse("A filter value is not closed"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nodes: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.tokens.get(self.at), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        if found {
            self.at += 1;
        }
        found
    }

    fn count(&mut self) -> Result<(), ApiError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(refuse(format!(
                "INVALID_FILTER: the filter has more than {MAX_NODES} nodes"
            )));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Filter, ApiError> {
        let mut left = self.and()?;
        while self.takes_word("or") {
            self.count()?;
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, ApiError> {
        let mut left = self.one()?;
        while self.takes_word("and") {
            self.count()?;
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, ApiError> {
        self.count()?;
        match self.next() {
            Some(Token::Open) => {
                let inner = self.or()?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(refuse("A parenthesis is not closed")),
                }
            }
            Some(Token::Word(attribute)) => self.comparison(attribute.to_lowercase()),
            other => Err(refuse(format!("Expected an attribute, found {other:?}"))),
        }
    }

    fn comparison(&mut self, attribute: String) -> Result<Filter, ApiError> {
        let operator = match self.next() {
            Some(Token::Word(word)) => match word.to_lowercase().as_str() {
                "eq" => Operator::Equal,
                "ne" => Operator::NotEqual,
                "co" => Operator::Contains,
                "sw" => Operator::StartsWith,
                "pr" => {
                    return Ok(Filter::Compare {
                        attribute,
                        operator: Operator::Present,
                        value: String::new(),
                    });
                }
                other => return Err(refuse(format!("Unsupported operator '{other}'"))),
            },
            other => {
                return Err(refuse(format!(
                    "Expected an operator after '{attribute}', found {other:?}"
                )));
            }
        };
        match self.next() {
            Some(Token::Quoted(value)) => Ok(Filter::Compare {
                attribute,
                operator,
                value,
            }),
            // Bare words are JSON literals: true, false and numbers.
            Some(Token::Word(value))
                if value == "true" || value == "false" || value.parse::<i64>().is_ok() =>
            {
                Ok(Filter::Compare {
                    attribute,
                    operator,
                    value,
                })
            }
            other => Err(refuse(format!(
                "Expected a value in double quotes, found {other:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn passes(filter: &str, name: &str) -> bool {
        Filter::parse(filter)
            .unwrap()
            .accepts(&|attribute| match attribute {
                "displayname" => vec![name.to_owned()],
                _ => Vec::new(),
            })
    }

    #[test]
    fn equality_ignores_case() {
        assert!(passes(r#"displayName eq "Data-Eng""#, "data-eng"));
        assert!(!passes(r#"displayName ne "DATA-ENG""#, "data-eng"));
        assert!(passes(r#"displayName co "ta-E""#, "data-eng"));
        assert!(passes(r#"displayName sw "dat""#, "data-eng"));
    }

    #[test]
    fn and_binds_tighter_than_or_and_parentheses_win() {
        let either = r#"displayName eq "a" or displayName eq "b" and displayName eq "c""#;
        assert!(passes(either, "a"));
        assert!(!passes(
            r#"(displayName eq "a" or displayName eq "b") and displayName eq "c""#,
            "a"
        ));
    }

    #[test]
    fn single_quotes_are_refused() {
        let error = Filter::parse("displayName eq 'a'").unwrap_err();
        assert_eq!((error.status, error.code), (400, "INVALID_FILTER"));
    }

    #[test]
    fn quotes_inside_a_value_are_escaped() {
        assert!(passes(r#"displayName eq "a \"b\" (c)""#, r#"a "b" (c)"#));
        assert!(Filter::parse(r#"displayName eq "a"#).is_err());
    }

    #[test]
    fn more_than_two_hundred_nodes_are_refused() {
        let terms = |n: usize| vec![r#"displayName eq "a""#; n].join(" or ");
        assert!(Filter::parse(&terms(100)).is_ok());
        assert!(Filter::parse(&terms(101)).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "displayName",
            "displayName eq",
            r#"displayName gt "a""#,
            r#"displayName eq "a")"#,
            "(",
            "eq eq eq",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_or_of_names_needs_the_index_only() {
        let filter = Filter::parse(r#"displayName eq "a" or displayName eq "b""#).unwrap();
        let index = |attribute: &str, value: &str| match (attribute, value) {
            ("displayname", "a") => Some(vec![1]),
            ("displayname", "b") => Some(vec![2]),
            _ => None,
        };
        assert_eq!(filter.candidates(&index), Some(vec![1, 2]));
        let open = Filter::parse(r#"displayName eq "a" or displayName co "b""#).unwrap();
        assert_eq!(open.candidates(&index), None);
    }
}
