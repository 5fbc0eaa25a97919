//! Code that really runs says itself what it is: the tree that was approved, and no other.

use lockstep_core::api::promotion::PromotionPhase;
use serde_json::json;

use crate::support::changes::Reviewed;
use crate::support::promoting::ready;
use crate::support::sim::Apart;
use crate::support::stack::stack;
use crate::support::team::Team;

/// Hashes the files that it runs from, as git hashes a tree.
const TREE: &str = include_str!("../../examples/project/tree.py");
const TRAIN: &str = "import tree\nprint('tree', tree.digest('.'))\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_code_that_ran_is_the_tree_of_the_approved_revision() {
    let Some(stack) = stack() else { return };
    let databricks = Apart::executing(stack).await;
    let Some(team) = Team::with("executed", &databricks).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let first = team.merge("tree.py", TREE).await;
    team.until_promotion(&first, PromotionPhase::Succeeded).await;
    assert_eq!(team.sim.printed(&team.job()).await.unwrap(), "trained\n");

    let change = team.merge("train.py", TRAIN).await;
    let approved = team.tree(&change.commit);
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let printed = team.sim.printed(&team.job()).await.unwrap();
    assert_eq!(printed, format!("tree {approved}\n"));
    assert_ne!(approved, team.tree(&first.commit));
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_really_fails_is_a_failure() {
    let Some(stack) = stack() else { return };
    let databricks = Apart::executing(stack).await;
    let Some(team) = Team::with("raises", &databricks).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let change = team.merge("train.py", "raise ValueError('no data')\n").await;
    let failed = team.until_promotion(&change, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    assert!(said.contains("RUN_EXECUTION_ERROR"), "{said}");
}
