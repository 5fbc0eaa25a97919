//! What `${...}` stands for.

use std::collections::BTreeMap;

use lockstep_core::domain::promotion::expressions::{ExpressionError, Reference, Values, expand, references};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use proptest::collection::btree_map;
use proptest::prelude::*;

use crate::properties::config;

fn with(variables: &BTreeMap<String, String>, text: &str) -> Result<String, ExpressionError> {
    let revision = CommitId("0123abcd".into());
    expand(
        text,
        &Values {
            revision: &revision,
            change: ChangeNumber(42),
            environment: "prod",
            variables,
        },
    )
}

fn expanded(text: &str) -> Result<String, ExpressionError> {
    let variables = BTreeMap::from([
        ("catalog".to_owned(), "ml_prod".to_owned()),
        ("empty".to_owned(), String::new()),
        ("sly".to_owned(), "${revision}".to_owned()),
    ]);
    with(&variables, text)
}

#[test]
fn four_things_can_be_asked_for() {
    assert_eq!(expanded("/w/${revision}/x"), Ok("/w/0123abcd/x".into()));
    assert_eq!(expanded("${change}-${environment}"), Ok("42-prod".into()));
    assert_eq!(
        expanded("${env.catalog}.fraud.scorer"),
        Ok("ml_prod.fraud.scorer".into())
    );
    assert_eq!(
        expanded("nothing, $HOME, {x}, $"),
        Ok("nothing, $HOME, {x}, $".into())
    );
}

#[test]
fn what_means_nothing_is_an_error_that_names_it() {
    for name in [
        "",
        "revisions",
        "Revision",
        " revision",
        "env",
        "env.",
        "env.a b",
        "env.1",
        "steps.train.version",
        "${revision",
    ] {
        let error = expanded(&format!("${{{name}}}")).unwrap_err();
        assert_eq!(error, ExpressionError::Unknown(name.into()));
        assert!(error.to_string().contains(name));
    }
}

#[test]
fn a_variable_that_is_unset_or_empty_is_an_error_and_never_an_empty_string() {
    for variable in ["catalogue", "empty"] {
        assert_eq!(
            expanded(&format!("x${{env.{variable}}}y")),
            Err(ExpressionError::Unset {
                variable: variable.into(),
                environment: "prod".into()
            })
        );
    }
}

#[test]
fn what_is_put_in_is_not_read_again() {
    assert_eq!(expanded("${env.sly}"), Ok("${revision}".into()));
}

#[test]
fn what_is_opened_must_be_closed() {
    assert_eq!(
        expanded("a ${revision"),
        Err(ExpressionError::Unclosed("a ${revision".into()))
    );
    assert_eq!(expanded("$${revision}"), Ok("$0123abcd".into()));
}

fn variable() -> impl Strategy<Value = String> {
    "[a-c]{1,2}"
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z${}./ ]{0,6}",
        Just("${revision}".to_owned()),
        Just("${change}".to_owned()),
        Just("${environment}".to_owned()),
        variable().prop_map(|name| format!("${{env.{name}}}")),
    ]
}

fn plain() -> impl Strategy<Value = String> {
    "[a-z$ {}]{0,8}".prop_filter("no reference", |text| !text.contains("${"))
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_text_without_references_stays_as_it_is(text in plain()) {
        prop_assert_eq!(references(&text).unwrap().len(), 0);
        prop_assert_eq!(expanded(&text), Ok(text));
    }

    #[test]
    fn it_expands_exactly_if_every_reference_is_known_and_set(
        pieces in proptest::collection::vec(piece(), 0..6),
        variables in btree_map(variable(), "[a-z${}]{0,4}", 0..4),
    ) {
        let text = pieces.concat();
        let set = |reference: &Reference| match reference {
            Reference::Variable(name) => variables.get(name).is_some_and(|value| !value.is_empty()),
            _ => true,
        };
        match references(&text) {
            Err(error) => prop_assert_eq!(with(&variables, &text), Err(error)),
            Ok(references) => {
                prop_assert_eq!(with(&variables, &text).is_ok(), references.iter().all(set));
            }
        }
    }

    #[test]
    fn expansion_is_piece_by_piece(one in plain(), other in plain(), name in variable(), value in "[a-z${}]{1,4}") {
        let variables = BTreeMap::from([(name.clone(), value.clone())]);
        let text = format!("{one}|${{env.{name}}}|{other}");
        prop_assert_eq!(with(&variables, &text), Ok(format!("{one}|{value}|{other}")));
    }
}
