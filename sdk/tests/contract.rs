//! The component type that the linker learns is that of `wit/processor.wit`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use wit_component::{StringEncoding, metadata};

/// After a change of the WIT run this test once with `BATON_WRITE_COMPONENT_TYPE=1`.
#[test]
fn the_component_type_is_that_of_the_wit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(&folder).unwrap();
    let world = resolve.select_world(&[package], Some("processor")).unwrap();
    let expected = metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    let file = folder.join("component-type.bin");
    if std::env::var_os("BATON_WRITE_COMPONENT_TYPE").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    assert!(std::fs::read(&file).unwrap() == expected, "{} is stale", file.display());
}
