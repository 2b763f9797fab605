//! `[drains]`: how far log drains reach.

use std::path::PathBuf;

use serde::Deserialize;

/// How far log drains reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainsConfig {
    /// Whether they reach private networks and this machine, and may send secrets in plain text.
    pub allow_private: bool,
    /// Roots that services are trusted by besides those of the machine, in PEM.
    pub ca_file: Option<PathBuf>,
}
