//! The engine in use is not one with a known hole. CI asks `cargo deny` where it has it; this holds without a network, for the sandbox
//! alone, and knows what was known on the day in the file.

use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
struct Known {
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    fixed_in: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

fn read<T: for<'de> Deserialize<'de>>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn no_known_hole_is_in_the_engine_that_is_locked() {
    let (known, lock): (Known, Lock) = (read(".ci/engine-advisories.toml"), read("Cargo.lock"));
    for Advisory { id, package, fixed_in } in &known.advisory {
        let versions: Vec<_> = lock.package.iter().filter(|locked| locked.name == *package).collect();
        assert!(!versions.is_empty(), "{id}: {package} is not in Cargo.lock");
        for Package { version, .. } in versions {
            assert!(
                numbers(version) >= numbers(fixed_in),
                "{id}: {package} {version} has it; take {fixed_in}"
            );
        }
    }
}
