//! What operators set for guests: values, secrets and grants, and prints of them for receipts. The values stay in memory; only prints are written
//! anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::grant::{Grant, Grants};
use crate::model::name::ProcessorName;

use super::secrets::Secrets;

/// How many characters of a print are kept: enough to tell values of one name apart.
const PRINT_LEN: usize = 16;

/// All settings for guests.
#[derive(Clone, Debug, Default)]
pub struct Configs {
    /// Values that guests read, by processor.
    pub values: BTreeMap<ProcessorName, BTreeMap<String, String>>,
    /// What processors may do.
    pub grants: Grants,
    /// Secrets, by name.
    pub secrets: BTreeMap<String, String>,
    /// The host's secret, without which a print tells nothing of a value.
    pub key: [u8; 32],
}

/// The settings of one processor.
#[derive(Clone, Debug, Default)]
pub struct GuestConfig {
    /// What its guests read.
    pub values: Arc<BTreeMap<String, String>>,
    /// What the operator grants.
    pub grant: Grant,
    /// What of it sections for this processor grant.
    pub own: Grant,
    /// The secrets that the grant opens.
    pub secrets: Secrets,
    /// A print of each value, by its name.
    pub prints: BTreeMap<String, String>,
}

impl Configs {
    /// What is set for one processor.
    pub fn of(&self, processor: &str) -> GuestConfig {
        let named = self.values.iter().find(|(name, _)| name.as_str() == processor);
        let values = named.map(|(_, values)| values.clone()).unwrap_or_default();
        let (grant, own) = (self.grants.of(processor), self.grants.own(processor));
        let granted = self.secrets.iter().filter(|(name, _)| grant.opens_secret(name));
        let secrets: BTreeMap<_, _> = granted.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut prints: BTreeMap<_, _> =
            values.iter().map(|(name, value)| (name.clone(), self.print(name, value))).collect();
        for (name, value) in &secrets {
            prints.insert(format!("secret {name}"), self.print(name, value));
        }
        if grant != Grant::default() {
            prints.insert("grants".to_owned(), self.print("grants", &format!("{grant:?}")));
        }
        GuestConfig { values: Arc::new(values), grant, own, secrets: Secrets::new(secrets), prints }
    }

    fn print(&self, name: &str, value: &str) -> String {
        let hash = blake3::keyed_hash(&self.key, format!("{name}\0{value}").as_bytes()).to_hex();
        hash.chars().take(PRINT_LEN).collect()
    }
}
