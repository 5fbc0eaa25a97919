//! Where a command looks: namespace, cluster and the operator's own namespace, and what it reads there with.

use std::collections::BTreeSet;

use clap::Args;
use kube::Client;

use super::Failure;
use super::progress::Progress;
use crate::runtime::{Reading, ReadingOptions, connect};

/// Flags of every command that reads the cluster and the systems behind it.
#[derive(Args, Clone, Debug)]
pub(super) struct Scope {
    /// Namespace to look at; unset: that of the current kubeconfig context
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The operator's own namespace: approvals there count for every namespace
    #[arg(
        long,
        env = "LOCKSTEP_OPERATOR_NAMESPACE",
        default_value = "lockstep-system",
        value_name = "NAMESPACE"
    )]
    pub(super) operator_namespace: String,
    /// Let connections reach this machine itself, also by plain http. For trying things out
    #[arg(long, env = "LOCKSTEP_ALLOW_LOOPBACK", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) allow_loopback: bool,
}

/// Flags of commands that read the cluster and nothing behind it.
#[derive(Args, Clone, Debug)]
pub(super) struct Where {
    /// Namespace to look at; unset: that of the current kubeconfig context
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The operator's own namespace: freezes there count for every namespace
    #[arg(
        long,
        env = "LOCKSTEP_OPERATOR_NAMESPACE",
        default_value = "lockstep-system",
        value_name = "NAMESPACE"
    )]
    pub(super) operator_namespace: String,
}

/// A cluster that answered.
pub(super) struct Place {
    pub(super) client: Client,
    /// The namespace in question.
    pub(super) namespace: String,
}

impl Place {
    async fn of(namespace: Option<&str>) -> Result<Self, Failure> {
        let client = connect().await?;
        let namespace = namespace.map_or_else(|| client.default_namespace().to_owned(), str::to_owned);
        Ok(Self { client, namespace })
    }
}

impl Where {
    pub(super) async fn connect(&self) -> Result<Place, Failure> {
        Place::of(self.namespace.as_deref()).await
    }
}

impl Scope {
    pub(super) async fn connect(&self) -> Result<Place, Failure> {
        Place::of(self.namespace.as_deref()).await
    }

    /// Looks at the cluster; what could not be seen is told on stderr.
    pub(super) async fn read(
        &self,
        place: &Place,
        namespaces: BTreeSet<String>,
        progress: &Progress,
    ) -> Result<Reading, Failure> {
        progress.say("reading the cluster");
        let options = ReadingOptions {
            namespaces,
            operator_namespace: self.operator_namespace.clone(),
            allow_loopback: self.allow_loopback,
        };
        let reading = Reading::new(place.client.clone(), &options).await?;
        for note in &reading.listing.notes {
            progress.note(note);
        }
        Ok(reading)
    }
}
