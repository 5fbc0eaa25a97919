//! What views are tried on.

use crate::queries::promotions::ahead::{ChangeWord, Outlook};

/// Of an open change that lacks nothing.
pub(super) fn outlook() -> Outlook {
    Outlook {
        namespace: "ml-fraud".into(),
        policy: "fraud".into(),
        environment: "prod".into(),
        change: 42,
        subject: "Take more for fraud".into(),
        project: "ml/fraud".into(),
        branch: "prod".into(),
        revision: "89abcdef0123".into(),
        status: ChangeWord::Open,
        passes: true,
        missing: Vec::new(),
        with_the_merge: Vec::new(),
        waits_for: Vec::new(),
        not_submittable: Vec::new(),
        stands_on: Vec::new(),
        starts_none: false,
        problem: None,
    }
}
