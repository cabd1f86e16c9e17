//! What an operator set for one processor: values for its guests, and prints of them for receipts. The values stay in
//! memory; only prints are written anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many characters of a print are kept: enough to tell values of one name apart.
const PRINT_LEN: usize = 16;

/// The settings of one processor.
#[derive(Clone, Debug, Default)]
pub struct GuestConfig {
    values: Arc<BTreeMap<String, String>>,
    prints: BTreeMap<String, String>,
}

impl GuestConfig {
    /// Takes values; `key` is the host's secret, without which a print tells nothing of a value.
    pub fn new(values: &BTreeMap<String, String>, key: &[u8; 32]) -> Self {
        let print = |(name, value): (&String, &String)| {
            let hash = blake3::keyed_hash(key, format!("{name}\0{value}").as_bytes()).to_hex();
            (name.clone(), hash.chars().take(PRINT_LEN).collect())
        };
        Self { prints: values.iter().map(print).collect(), values: Arc::new(values.clone()) }
    }

    /// What guests read.
    pub fn values(&self) -> &Arc<BTreeMap<String, String>> {
        &self.values
    }

    /// A print of each value, by its name.
    pub fn prints(&self) -> &BTreeMap<String, String> {
        &self.prints
    }
}
