//! What processors may do beside events and state, and where secrets come from: the sections `[grants.NAME]` and `[secrets.NAME]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::grant::{DEFAULT, Grant, Grants};

/// What processors of one name may do; in the name and in all values `*` stands for any characters. The section `default` is for all processors and
/// speaks of channels only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrantSettings {
    /// HTTP servers, such as `https://api.example.com` or `GET,HEAD http://127.0.0.1:*`. Loopback, private and link-local addresses are reached only
    /// where the address itself is granted, and asked for, in place of a name.
    pub http: Vec<String>,
    /// TCP servers, such as `mail.example.com:587`. The same holds for addresses.
    pub tcp: Vec<String>,
    /// Secrets, by the names of their sections.
    pub secrets: Vec<String>,
    /// The channels that may be subscribed to; absent, all.
    pub reads: Option<Vec<String>>,
    /// The channels that may be published on; absent, all.
    pub publishes: Option<Vec<String>>,
}

/// Where a secret comes from: one of the two. It is read at the start, and when the configuration is read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSettings {
    /// A variable of the host's environment.
    pub env: Option<String>,
    /// A file, relative to the folder of `baton.toml`; spaces and line ends around its text are not part of the secret.
    pub file: Option<PathBuf>,
}

/// What is wrong with the sections: the path of a key and why it cannot be.
pub(super) fn faults(
    grants: &BTreeMap<String, GrantSettings>,
    secrets: &BTreeMap<String, SecretSettings>,
) -> Vec<(Vec<String>, String)> {
    let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let mut faults = Vec::new();
    for (name, settings) in grants {
        if let Some((key, why)) = grant(settings).fault() {
            faults.push((path(&["grants", name, key]), why));
        }
        let outside = [("http", &settings.http), ("tcp", &settings.tcp), ("secrets", &settings.secrets)];
        for (key, _) in outside.into_iter().filter(|(_, granted)| name == DEFAULT && !granted.is_empty()) {
            let why = "what leads outside is granted to processors by name, never to all; write it under [grants.NAME]";
            faults.push((path(&["grants", name, key]), why.to_owned()));
        }
    }
    for (name, SecretSettings { env, file }) in secrets {
        if env.is_some() == file.is_some() {
            let why = "a secret comes from one place: write env = \"NAME\" or file = \"PATH\"";
            faults.push((path(&["secrets", name]), why.to_owned()));
        }
    }
    faults
}

/// The sections as the decision has them.
pub(super) fn grants(settings: &BTreeMap<String, GrantSettings>) -> Grants {
    Grants(settings.iter().map(|(name, settings)| (name.clone(), grant(settings))).collect())
}

fn grant(settings: &GrantSettings) -> Grant {
    let GrantSettings { http, tcp, secrets, reads, publishes } = settings.clone();
    Grant { http, tcp, secrets, reads, publishes }
}

impl SecretSettings {
    /// Reads the secret. The error says where it was looked for, and never what was there.
    pub fn read(&self, folder: &Path) -> Result<String, String> {
        let text = match (&self.env, &self.file) {
            (Some(name), _) => std::env::var(name)
                .map_err(|_| format!("the environment has no text in the variable '{name}'"))?,
            (_, Some(file)) => {
                let path = folder.join(file);
                let failed = |error: std::io::Error| format!("{}: {error}", path.display());
                std::fs::read_to_string(&path).map_err(failed)?.trim().to_owned()
            }
            _ => String::new(),
        };
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
    }
}
