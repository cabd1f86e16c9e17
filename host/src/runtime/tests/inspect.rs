//! What is refused without running it, and in which words.

use super::support::{COPY, DESCRIPTOR, component, component_with};
use crate::runtime::{COMPONENT_BYTES_MAX, Engine, EngineConfig, Error, inspect};

#[test]
fn a_good_component_tells_what_it_is() {
    let bytes = component(COPY);
    let inspected = inspect(&bytes).unwrap();
    assert_eq!(inspected.descriptor.name.as_str(), "guest");
    assert_eq!(inspected.digest, blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(inspected.bytes, bytes.len() as u64);
    assert!(inspected.imports.iter().any(|name| name == "baton:processor/state@0.1.0"));
    assert_eq!(inspected.exports, ["baton:processor/handler@0.1.0"]);
}

#[test]
fn what_is_no_processor_is_refused_with_what_to_do() {
    let text = |text: &str| wat::parse_str(text).unwrap();
    let described = |descriptor: &str| component_with(COPY, descriptor, "");
    let other_world = text(&format!(
        "(component (core module (@custom \"baton-descriptor\" \"{}\")))",
        DESCRIPTOR.replace('"', "\\\"")
    ));
    let cases = [
        (b"#!/bin/sh".to_vec(), "component-not-wasm", "cargo build --target wasm32-wasip2"),
        (Vec::new(), "component-not-wasm", "cargo build --target wasm32-wasip2"),
        (text("(module)"), "component-core-module", "cargo build --target wasm32-wasip2"),
        (text("(component)"), "descriptor-missing", "macro of baton-sdk"),
        (other_world, "component-wrong-world", "does not export 'baton:processor/handler@0.1.0'"),
        (described(&DESCRIPTOR.repeat(2)), "descriptor-twice", "keep one"),
        (described("{"), "descriptor-invalid", "build the component with a baton-sdk"),
        (described(&DESCRIPTOR.replace("@0.1.0", "@7.0.0")), "descriptor-invalid", "this host serves"),
    ];
    for (bytes, code, words) in cases {
        let error = inspect(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_component_that_is_cut_off_is_invalid() {
    let bytes = component(COPY);
    for len in [8, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(inspect(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn the_size_is_bounded() {
    let mut bytes = b"\0asm".to_vec();
    bytes.resize(COMPONENT_BYTES_MAX as usize + 1, 0);
    assert_eq!(inspect(&bytes).unwrap_err().code(), "component-too-large");
}

#[test]
fn each_import_that_is_not_offered_is_named_with_what_it_needs() {
    let imports = r#"(import "wasi:http/outgoing-handler@0.2.3" (instance)) (import "acme:shop/db@1.0.0" (instance))
                     (import "wasi:cli/environment@0.3.0" (instance))"#;
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let Err(Error::Imports(refused)) = engine.load(&component_with(COPY, DESCRIPTOR, imports)) else {
        panic!("it was loaded")
    };
    let names: Vec<_> = refused.iter().map(|import| import.name.as_str()).collect();
    let expected = ["wasi:http/outgoing-handler@0.2.3", "acme:shop/db@1.0.0", "wasi:cli/environment@0.3.0"];
    assert_eq!(names, expected);
    assert!(refused[0].needs.contains("HTTP") && refused[2].needs.contains("another version"));
}

#[test]
fn invalid_code_is_refused_by_the_compiler() {
    let mut bytes =
        component("(func (export \"handle\") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 5))");
    let at = bytes.windows(2).position(|code| code == [0x41, 5]).unwrap();
    bytes[at] = 0x01;
    let error = Engine::new(EngineConfig::in_process()).unwrap().load(&bytes).err().unwrap();
    assert_eq!(error.code(), "component-invalid", "{error}");
}
