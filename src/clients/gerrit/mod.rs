//! Gerrit.
