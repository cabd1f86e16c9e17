//! A version of a processor that could run: what it says of itself, and how instances of it are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::channel::Deployable;
use crate::model::descriptor::{Descriptor, InstanceReuse};
use crate::runtime::{Executor, HostCalls, NativeHandler, Program};

/// Makes the handler of one lane.
pub type NativeFactory = Arc<dyn Fn() -> Box<dyn NativeHandler> + Send + Sync>;

/// A version of a processor.
#[derive(Clone)]
pub struct Version {
    deployable: Arc<Deployable>,
    code: Code,
}

#[derive(Clone)]
enum Code {
    Wasm(Program),
    Native(NativeFactory),
}

impl Version {
    /// A component.
    pub fn wasm(program: Program, file: &str, load_us: u64) -> Self {
        let deployable = Deployable {
            digest: program.digest().to_owned(),
            descriptor: program.descriptor().clone(),
            file: file.to_owned(),
            load_us,
            cached: program.from_cache(),
            config: BTreeMap::new(),
        };
        Self { deployable: Arc::new(deployable), code: Code::Wasm(program) }
    }

    /// Native code under the same contract. `digest` tells its versions apart.
    pub fn native(descriptor: Descriptor, digest: &str, factory: NativeFactory) -> Self {
        let deployable = Deployable {
            digest: digest.to_owned(),
            descriptor,
            file: "native".to_owned(),
            load_us: 0,
            cached: false,
            config: BTreeMap::new(),
        };
        Self { deployable: Arc::new(deployable), code: Code::Native(factory) }
    }

    /// The same code once more: nothing has to be loaded for it.
    pub(super) fn again(&self) -> Self {
        let deployable = Deployable { load_us: 0, cached: true, ..(*self.deployable).clone() };
        Self { deployable: Arc::new(deployable), code: self.code.clone() }
    }

    /// What a deployment of it records.
    pub fn deployable(&self) -> &Deployable {
        &self.deployable
    }

    /// What it says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.deployable.descriptor
    }

    /// Whether every call gets a new instance.
    pub fn is_fresh(&self) -> bool {
        self.descriptor().instance == InstanceReuse::Fresh
    }

    /// Makes an instance.
    pub fn executor(&self, calls: Arc<dyn HostCalls>) -> Result<Executor, crate::runtime::Error> {
        match &self.code {
            Code::Wasm(program) => program.instantiate(calls).map(Executor::Wasm),
            Code::Native(factory) => Ok(Executor::native(factory(), calls)),
        }
    }
}
