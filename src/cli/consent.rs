//! A person says yes: to what was just shown, under their own name, with a reason for the record.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use kube::{Client, ResourceExt as _};
use lockstep_core::api::plan_approval::{PlanApprovalSpec, PlanRef};
use lockstep_core::api::text;
use lockstep_core::domain::defaults::LONGEST_APPROVAL_DAYS;

use super::Failure;
use super::output::{clean, show};
use super::progress::Progress;
use crate::runtime::Approver;

/// How often it is looked whether something has come of it.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// Flags of every command that approves a plan.
#[derive(Args, Clone, Debug)]
pub(super) struct Consent {
    /// Why, for the record
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// How long the approval may be used, for example 24h
    #[arg(long, default_value = "24h")]
    pub(super) expires: String,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Seconds to wait for the operator to use it
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    pub(super) wait: u64,
}

/// An approval that was made.
pub(super) struct Given {
    approver: Approver,
    namespace: String,
    name: String,
    wait: u64,
}

impl Consent {
    /// Asks why and whether, as far as the flags do not say it.
    pub(super) fn confirm(&self) -> Result<String, Failure> {
        let reason = confirm(
            self.yes,
            self.reason.as_deref(),
            "Approve exactly this?",
            "approved",
        )?;
        Ok(reason)
    }

    /// How long the approval may be used, in seconds.
    pub(super) fn lasts(&self) -> Result<u64, Failure> {
        lasts(&self.expires)
    }

    /// Creates the approval, under the name the cluster knows the caller by.
    pub(super) async fn approve(
        &self,
        client: Client,
        plan_ref: PlanRef,
        digest: String,
        reason: String,
    ) -> Result<Given, Failure> {
        let approver = Approver::find(client).await?;
        let namespace = plan_ref.namespace.clone();
        let spec = PlanApprovalSpec {
            plan_ref,
            digest,
            approver: approver.name.clone(),
            reason,
            expires: Some(ends(self.lasts()?)?),
        };
        let name = approver.approve(spec).await?.name_any();
        show(&format!(
            "PlanApproval {namespace}/{name} created, as {}\n",
            clean(&approver.name)
        ))?;
        Ok(Given {
            approver,
            namespace,
            name,
            wait: self.wait,
        })
    }
}

impl Given {
    /// The entry of the record that used it, if one does in time.
    pub(super) async fn used(&self) -> Option<String> {
        let progress = Progress::start();
        progress.say("waiting for the operator to use it");
        let until = tokio::time::Instant::now() + Duration::from_secs(self.wait);
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            let used = self
                .approver
                .look(&self.namespace, &self.name)
                .await
                .and_then(|approval| approval.status)
                .filter(|status| status.used_at.is_some());
            if let Some(status) = used {
                return Some(status.used_by.unwrap_or_default());
            }
            if tokio::time::Instant::now() >= until {
                return None;
            }
        }
    }

    pub(super) fn approver(&self) -> &Approver {
        &self.approver
    }
}

/// Asks why and whether something is to be done, as far as the flags do not say it. `done` as in `not done`.
pub(super) fn confirm(
    yes: bool,
    reason: Option<&str>,
    question: &str,
    done: &str,
) -> Result<String, Failure> {
    let asks = std::io::stdin().is_terminal();
    if !asks && !yes {
        return Err(nobody());
    }
    let reason = match reason {
        Some(reason) => reason.to_owned(),
        None if asks => ask("Why? (for the record) ")?,
        None => return Err(Failure("--reason must say why, for the record".into())),
    };
    if reason.trim().is_empty() {
        return Err(Failure(format!("without a reason nothing is {done}")));
    }
    agree(yes, question, done)?;
    Ok(reason.trim().to_owned())
}

/// Asks whether something is to be done, unless `yes` says so.
pub(super) fn agree(yes: bool, question: &str, done: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(nobody());
    }
    match ask(&format!("{question} [y/N] "))?.to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure(format!("not {done}"))),
    }
}

fn nobody() -> Failure {
    Failure("nobody can be asked here: pass --yes after looking at what is shown".into())
}

fn ask(question: &str) -> Result<String, Failure> {
    let mut stderr = anstream::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn lasts(expires: &str) -> Result<u64, Failure> {
    let lasts = text::Duration(expires.to_owned())
        .seconds()
        .map_err(|why| Failure(format!("--expires: {why}")))?;
    if lasts > LONGEST_APPROVAL_DAYS.unsigned_abs() * 86_400 {
        return Err(Failure(format!(
            "--expires: no approval counts for longer than {LONGEST_APPROVAL_DAYS} days"
        )));
    }
    Ok(lasts)
}

fn ends(lasts: u64) -> Result<Timestamp, Failure> {
    let lasts = i64::try_from(lasts).unwrap_or(i64::MAX);
    let ends = Timestamp::now().checked_add(SignedDuration::from_secs(lasts))?;
    // Kubernetes keeps whole seconds.
    Ok(Timestamp::from_second(ends.as_second())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_approves_for_longer_than_an_approval_counts() {
        assert!(lasts("30d").is_ok());
        assert!(lasts("31d").is_err_and(|why| why.0.contains("30 days")));
    }

    #[test]
    fn nothing_is_done_without_a_reason() {
        let silent = confirm(true, Some("  "), "Sure?", "rolled back");
        assert!(silent.is_err_and(|why| why.0 == "without a reason nothing is rolled back"));
        let given = confirm(true, Some(" it drifts "), "Sure?", "rolled back");
        assert!(given.is_ok_and(|reason| reason == "it drifts"));
        assert!(agree(true, "Sure?", "done").is_ok());
    }
}
