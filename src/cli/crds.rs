//! `lockstep crds`: the CRDs, for `kubectl apply --server-side -f -`.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use lockstep_core::api::crd;
use serde_json::json;

use super::{Failure, Outcome, print};

#[derive(Args, Debug)]
pub(super) struct CrdsArgs {
    /// How to print them
    #[arg(long, short, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One document per CRD
    Yaml,
    /// One List
    Json,
}

pub(super) fn crds(args: &CrdsArgs) -> Result<Outcome, Failure> {
    print(&text(args.output)?)?;
    Ok(Outcome::Done)
}

fn text(format: Format) -> Result<String, Failure> {
    let mut text = String::new();
    match format {
        Format::Yaml => {
            for definition in crd::all() {
                let yaml = serde_yaml_ng::to_string(&definition)?;
                write!(text, "---\n{yaml}")?;
            }
        }
        Format::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": crd::all()});
            writeln!(text, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_hold_every_kind() {
        for format in [Format::Yaml, Format::Json] {
            let text = text(format).map_err(|failure| failure.0).unwrap();
            for definition in crd::all() {
                assert!(text.contains(&definition.metadata.name.unwrap()), "{format:?}");
            }
        }
    }
}
