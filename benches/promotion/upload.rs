//! One change that brings a big tree.

use std::fmt::Write as _;

use jiff::Timestamp;
use lockstep_core::api::promotion::PromotionPhase;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::support::changes::Reviewed;
use crate::support::stack::stack;
use crate::support::team::Team;

/// Bytes of a file: of what a project holds, most is a few pages of code.
const SIZE: usize = 10_000;

pub async fn measure(files: usize) -> Value {
    let operator = Operator::fresh().await;
    let team = Team::at(stack().unwrap(), "upload", None).await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.hear(json!({"poll": "2s"})).await;
    team.policy(&[team.code()], json!({})).await;
    for file in 0..files {
        // No two alike, and nothing that packs to nothing.
        let mut word = file as u64 + 1;
        let mut text = String::with_capacity(SIZE + 32);
        while text.len() < SIZE {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            writeln!(text, "v{word:016x} = {}", word % 977).unwrap();
        }
        text.truncate(SIZE);
        team.write(&format!("models/part{:03}/m{file:05}.py", file / 50), &text);
    }
    let sim = &team.sim;
    let last = sim.control(Method::GET, "journal?limit=1", None).await;
    let change = team.propose_written("ada", "Bring a big tree");
    team.bring_in(&change).await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let since = format!("journal?writes=true&limit=100000&since={}", last["last"]);
    let journal = sim.control(Method::GET, &since, None).await;
    let entries = journal["entries"].as_array().unwrap();
    let imports: Vec<Timestamp> = entries
        .iter()
        .filter(|entry| {
            let route = entry["route"].as_str().unwrap();
            route.contains("/workspace-files/import-file/") || route.ends_with("/workspace/import")
        })
        .map(|entry| entry["time"].as_str().unwrap().parse().unwrap())
        .collect();
    // The manifest at the beginning is one more.
    assert!(imports.len() > files, "{} imports in the journal", imports.len());
    let (first, last) = (imports.iter().min().unwrap(), imports.iter().max().unwrap());
    let seconds = (last.as_millisecond() - first.as_millisecond()) as f64 / 1_000.0;
    let megabytes = (files * SIZE) as f64 / 1e6;
    eprintln!("   {} files, {megabytes:.1} MB in {seconds:.1} s", imports.len());
    let peak = operator.peak_mb();
    operator.stop().await;
    json!({
        "files": files,
        "seconds": rounded(seconds),
        "mb_per_s": rounded(megabytes / seconds),
        "peak_rss_mb": rounded(peak),
    })
}
