//! What `${...}` in a policy or a job definition stands for: four things and nothing else. A reference that means
//! nothing is an error that names it, never an empty string. What is put in is not read again, and there is no way to
//! write a literal `${`: no path, alias or parameter needs one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};

/// Why a text cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error(
        "${{{0}}} means nothing: write ${{revision}}, ${{change}}, ${{environment}} or ${{env.<variable>}}"
    )]
    Unknown(String),
    #[error("${{env.{variable}}}: environment {environment} sets no variable {variable:?}")]
    Unset { variable: String, environment: String },
    #[error("{0:?} opens ${{ and does not close it")]
    Unclosed(String),
}

/// One thing that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    Revision,
    Change,
    Environment,
    Variable(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision => f.write_str("${revision}"),
            Self::Change => f.write_str("${change}"),
            Self::Environment => f.write_str("${environment}"),
            Self::Variable(name) => write!(f, "${{env.{name}}}"),
        }
    }
}

/// What references stand for in one promotion.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub revision: &'a CommitId,
    pub change: ChangeNumber,
    pub environment: &'a str,
    pub variables: &'a BTreeMap<String, String>,
}

/// A text taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Reference(Reference),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, open) = rest.split_at(at);
        let inner = &open[2..];
        let end = inner
            .find('}')
            .ok_or_else(|| ExpressionError::Unclosed(text.to_owned()))?;
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Reference(reference(&inner[..end])?));
        rest = &inner[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

fn reference(name: &str) -> Result<Reference, ExpressionError> {
    match name {
        "revision" => Ok(Reference::Revision),
        "change" => Ok(Reference::Change),
        "environment" => Ok(Reference::Environment),
        other => match other.strip_prefix("env.") {
            Some(variable) if is_variable(variable) => Ok(Reference::Variable(variable.to_owned())),
            _ => Err(ExpressionError::Unknown(other.to_owned())),
        },
    }
}

/// Letters, digits, `_` and `-`, beginning with a letter.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

/// Everything a text asks for, so that a policy can be refused before anything runs.
pub fn references(text: &str) -> Result<BTreeSet<Reference>, ExpressionError> {
    Ok(pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(reference),
            Piece::Text(_) => None,
        })
        .collect())
}

/// The text with every reference replaced once.
pub fn expand(text: &str, values: &Values<'_>) -> Result<String, ExpressionError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Reference(Reference::Revision) => out.push_str(&values.revision.0),
            Piece::Reference(Reference::Change) => out.push_str(&values.change.0.to_string()),
            Piece::Reference(Reference::Environment) => out.push_str(values.environment),
            Piece::Reference(Reference::Variable(variable)) => {
                let value = values.variables.get(&variable);
                let unset = || ExpressionError::Unset {
                    variable: variable.clone(),
                    environment: values.environment.to_owned(),
                };
                // An empty value is as good as none: it would make `.fraud.scorer` of a path.
                out.push_str(value.filter(|value| !value.is_empty()).ok_or_else(unset)?);
            }
        }
    }
    Ok(out)
}
