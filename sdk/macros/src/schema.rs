//! Schemas of channels: JSON files beside the crate's `Cargo.toml`, read where they are named.

use std::path::{Path, PathBuf};

use serde_json::Value;
use syn::{Error, LitStr, Result};

/// The host's own bound for one schema, as it is written into the descriptor.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// One `schema(..)`.
pub struct Schema {
    pub channel: LitStr,
    /// Where it was read.
    pub file: PathBuf,
    pub value: Value,
}

impl Schema {
    /// Reads the file that a literal names.
    pub fn read(channel: LitStr, literal: &LitStr) -> Result<Self> {
        let refuse = |why: String| Error::new(literal.span(), why);
        let file = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join(literal.value());
        let shown = file.display();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| refuse(format!("cannot read {shown}: {error}")))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| refuse(format!("{shown} is no JSON: {error}")))?;
        if !value.is_object() && !value.is_boolean() {
            return Err(refuse(format!("{shown} is no JSON Schema: that is an object, true or false")));
        }
        let bytes = value.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(refuse(format!(
                "{shown} has {bytes} bytes without spaces; at most {SCHEMA_BYTES_MAX}"
            )));
        }
        Ok(Self { channel, file, value })
    }
}
