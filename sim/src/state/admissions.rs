//! Who may enter which workspace, and as what; kept by sort as well, so that a listing of one sort does not walk
//! past the others.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignment {
    User,
    Admin,
}

impl Assignment {
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Admin => "ADMIN",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    User,
    ServicePrincipal,
    Group,
}

#[derive(Debug, Clone, Default)]
pub struct Admissions {
    /// By `(workspace, principal)`.
    levels: BTreeMap<(u64, u64), Assignment>,
    by_sort: BTreeMap<(u64, Sort), BTreeSet<u64>>,
}

impl Admissions {
    pub fn get(&self, workspace: u64, id: u64) -> Option<Assignment> {
        self.levels.get(&(workspace, id)).copied()
    }

    pub fn admits(&self, workspace: u64, id: u64) -> bool {
        self.levels.contains_key(&(workspace, id))
    }

    pub fn set(&mut self, workspace: u64, id: u64, sort: Sort, level: Assignment) {
        self.levels.insert((workspace, id), level);
        self.by_sort.entry((workspace, sort)).or_default().insert(id);
    }

    pub fn remove(&mut self, workspace: u64, id: u64) {
        if self.levels.remove(&(workspace, id)).is_none() {
            return;
        }
        for sort in [Sort::User, Sort::ServicePrincipal, Sort::Group] {
            if let Some(ids) = self.by_sort.get_mut(&(workspace, sort)) {
                ids.remove(&id);
            }
        }
    }

    pub fn all(&self, workspace: u64) -> impl Iterator<Item = (u64, Assignment)> + '_ {
        self.levels
            .range((workspace, 0)..=(workspace, u64::MAX))
            .map(|((_, id), level)| (*id, *level))
    }

    pub fn of_sort(&self, workspace: u64, sort: Sort) -> impl Iterator<Item = u64> + '_ {
        self.by_sort
            .get(&(workspace, sort))
            .into_iter()
            .flatten()
            .copied()
    }
}
