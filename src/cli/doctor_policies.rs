//! What promotion policies with `submitRequirements: Managed` need in Gerrit: the right to write their project's
//! configuration, or people who submit what is proposed.

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion_policy::SubmitRequirements;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{ConnectionKind, SystemError};
use lockstep_core::domain::promotion::ports::configuration::Configuring;

use super::doctor::{Check, Mark};
use crate::runtime::Reading;

/// The line of one policy; `None`: it writes nothing into Gerrit.
pub(super) async fn managed(reading: &Reading, policy: &PromotionPolicy) -> Option<Check> {
    let spec = &policy.spec;
    let writes = defaults::submit_requirements(&spec.gate) == SubmitRequirements::Managed
        && defaults::policy_mode(spec) == Mode::Enforce
        && !defaults::policy_suspended(spec);
    if !writes {
        return None;
    }
    let namespace = policy.namespace().unwrap_or_default();
    let project = &spec.gerrit.project;
    let key = defaults::connection(ConnectionKind::Gerrit, &spec.gerrit.connection_ref, &namespace);
    let asked = async {
        let review = reading.context.reviews.open(&key).await?;
        review.system().configuring(project).await
    };
    let (mark, says) = line(project, &asked.await);
    Some(Check {
        area: "policies",
        what: format!("{namespace}/{}", policy.name_any()),
        mark,
        says,
    })
}

fn line(project: &str, asked: &Result<Configuring, SystemError>) -> (Mark, String) {
    match asked {
        Err(error) => (Mark::Bad, format!("{}: {error}", error.reason())),
        Ok(Configuring {
            owns: true,
            reviewed: false,
        }) => (
            Mark::Good,
            format!("writes its submit requirements and labels into {project}"),
        ),
        Ok(Configuring {
            owns: true,
            reviewed: true,
        }) => (
            Mark::Note,
            format!(
                "the site demands review of the configuration of {project}: what the gate needs there waits until people submit it"
            ),
        ),
        Ok(Configuring {
            owns: false,
            reviewed: true,
        }) => (
            Mark::Note,
            format!(
                "our account does not own refs/* of {project}: it can only propose submit requirements and labels, with read and push on refs/meta/config"
            ),
        ),
        Ok(Configuring {
            owns: false,
            reviewed: false,
        }) => (
            Mark::Bad,
            format!(
                "our account cannot write submit requirements and labels of {project}: make it owner of refs/* there, or set gate.submitRequirements to Existing"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_owner_writes_and_the_others_are_told_what_to_do() {
        let of = |owns, reviewed| line("ml/fraud", &Ok(Configuring { owns, reviewed }));
        assert_eq!(of(true, false).0, Mark::Good);
        assert_eq!((of(true, true).0, of(false, true).0), (Mark::Note, Mark::Note));
        let (mark, says) = of(false, false);
        assert_eq!(mark, Mark::Bad);
        assert!(
            says.contains("owner of refs/*") && says.contains("Existing"),
            "{says}"
        );
    }
}
