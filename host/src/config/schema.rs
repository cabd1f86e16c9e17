//! The JSON Schema of `baton.toml`, derived from the types of the settings.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Settings;
use crate::model::descriptor::CONCURRENCY_MAX;
use crate::model::name::{ChannelName, NAME_LEN_MAX, ProcessorName};
use crate::model::operation::Lanes;

/// The schema (JSON Schema 2020-12).
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Settings>();
    schema.insert("title".to_owned(), "baton.toml".into());
    schema.to_value()
}

macro_rules! name_schema {
    ($name:ident) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": NAME_LEN_MAX
                })
            }
        }
    };
}

name_schema!(ChannelName);
name_schema!(ProcessorName);

impl JsonSchema for Lanes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Lanes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"], "pattern": "^[0-9]+([.][.][0-9]+)?$", "minimum": 1, "maximum": CONCURRENCY_MAX,
            "examples": ["1..4", 2]
        })
    }
}
