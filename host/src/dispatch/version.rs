//! A version of a processor that could run: what it says of itself, and how instances of it are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::channel::Deployable;
use crate::model::deployment::{Deployment, NATIVE_FILE};
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
    Native { factory: NativeFactory, at_the_edge: bool },
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

    /// Native code under the same contract, which acts on nothing but what it returns. `digest` tells its versions apart.
    pub fn native(descriptor: Descriptor, digest: &str, factory: NativeFactory) -> Self {
        let deployable = Deployable {
            digest: digest.to_owned(),
            descriptor,
            file: NATIVE_FILE.to_owned(),
            load_us: 0,
            cached: false,
            config: BTreeMap::new(),
        };
        Self { deployable: Arc::new(deployable), code: Code::Native { factory, at_the_edge: false } }
    }

    /// The same native code, which acts outside: it waits for durable.
    pub fn at_the_edge(mut self) -> Self {
        if let Code::Native { at_the_edge, .. } = &mut self.code {
            *at_the_edge = true;
        }
        self
    }

    /// The same native code, which a file stands for.
    pub fn from_file(mut self, file: &str) -> Self {
        let deployable = Deployable { file: file.to_owned(), ..(*self.deployable).clone() };
        self.deployable = Arc::new(deployable);
        self
    }

    /// Whether it is native code that acts outside of a sandbox, and so waits for durable. What a component may do is granted.
    pub fn is_at_the_edge(&self) -> bool {
        matches!(self.code, Code::Native { at_the_edge: true, .. })
    }

    /// What it imports.
    pub fn imports(&self) -> &[String] {
        match &self.code {
            Code::Wasm(program) => &program.inspected().imports,
            Code::Native { .. } => &[],
        }
    }

    /// Whether it is native code: the application's, or a mediator.
    pub fn is_native(&self) -> bool {
        matches!(self.code, Code::Native { .. })
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

    /// Whether a deployment is of this very version.
    pub fn is_of(&self, deployment: &Deployment) -> bool {
        let Deployable { digest, descriptor, file, .. } = &*self.deployable;
        deployment.digest == *digest && deployment.descriptor == *descriptor && deployment.file == *file
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
            Code::Native { factory, .. } => Ok(Executor::native(factory(), calls)),
        }
    }
}
