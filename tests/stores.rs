//! Stores and issuers of rotated credentials against the real Vault and against moto: what the controller relies on, and
//! each bad day. AWS needs the feature `aws`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

#[cfg(feature = "aws")]
#[path = "stores/access_keys.rs"]
mod access_keys;
#[cfg(feature = "aws")]
#[path = "stores/account.rs"]
mod account;
#[cfg(feature = "aws")]
#[path = "stores/direct.rs"]
mod direct;
#[path = "stores/echo.rs"]
mod echo;
#[path = "stores/entries.rs"]
mod entries;
#[cfg(feature = "aws")]
#[path = "stores/secrets_manager.rs"]
mod secrets_manager;
#[path = "stores/server.rs"]
mod server;
#[path = "stores/stack.rs"]
mod stack;
#[path = "stores/vault.rs"]
mod vault;
#[path = "stores/vault_login.rs"]
mod vault_login;
#[path = "stores/vault_refusing.rs"]
mod vault_refusing;
