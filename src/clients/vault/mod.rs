//! HashiCorp Vault and OpenBao: values of rotated credentials in a secrets engine KV of version 2.
//!
//! `login` gets a token and keeps it, `rest` sends what it is good for and says what a refusal means, `kv` are the
//! engine's own words, `store` is one path of it as the port has it. No word of an answer that may hold a value is ever
//! repeated.

mod kv;
mod login;
mod rest;
mod settings;
mod store;

use std::sync::Arc;

use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};

pub use settings::{VaultAuth, VaultSettings};
pub use store::VaultStore;

use super::http::HttpMetrics;
use kv::Engine;
use rest::Rest;

/// One server, one namespace of it, one engine: shared by everything that is written there.
pub struct Vault {
    engine: Arc<Engine>,
}

impl Vault {
    /// Builds the client; nothing is sent.
    pub fn new(
        settings: VaultSettings,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Result<Self, SystemError> {
        let mount = settings.mount.trim_matches('/').to_owned();
        let rest = Rest::new(settings, permit, clock, metrics)?;
        Ok(Self {
            engine: Arc::new(Engine::new(rest, mount)),
        })
    }

    /// One path below the mount, for example `ml/fraud/dbx`. Nothing is sent.
    pub fn store(&self, path: &str) -> Result<VaultStore, SystemError> {
        let proper = |segment: &str| {
            !matches!(segment, "" | "." | "..") && !segment.chars().any(|c| c.is_control() || c == '*')
        };
        if !path.split('/').all(proper) || path.trim() != path {
            return Err(self.engine.rest.error(
                SystemErrorKind::Refused,
                format!(
                    "path {path:?}: name what lies between the slashes, without a slash at either end, without . and .., *, or control characters"
                ),
            ));
        }
        Ok(VaultStore::new(Arc::clone(&self.engine), path))
    }

    /// Logs in and looks at the engine: whether values could be written there at all, by what is known without writing.
    pub async fn probe(&self) -> Result<(), SystemError> {
        self.engine.look().await
    }
}
