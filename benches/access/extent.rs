//! The fewest calls that could have done the same.

/// How much there is to list.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub gerrit_groups: usize,
    pub gerrit_accounts: usize,
    pub groups: usize,
    pub users: usize,
    pub service_principals: usize,
}

impl Extent {
    /// Pages of every listing, once: groups and people of both systems. No team declares a right on a label, so no
    /// project's labels are read; with them it would be one read more for each such project.
    pub fn pages(self) -> u64 {
        let Self {
            gerrit_groups,
            gerrit_accounts,
            groups,
            users,
            service_principals,
        } = self;
        // Gerrit gives 500 rows at most, the vendor's SCIM 100. A listing of groups in Gerrit ends with a short page.
        let gerrit = gerrit_groups / 500 + 1 + gerrit_accounts.div_ceil(500).max(1);
        let scim: usize = [groups, users, service_principals]
            .into_iter()
            .map(|rows| rows.div_ceil(100).max(1))
            .sum();
        (gerrit + scim) as u64
    }
}
