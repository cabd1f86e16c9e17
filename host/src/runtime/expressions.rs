//! Evaluates expressions of workflows, in a built-in guest under a guest's limits: an expression that never ends, or wants all memory, ends its
//! instance and nothing else. Values go in and values come out; nothing of it is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::batch::Batch;
use super::calls::NoHostCalls;
use super::costs::Costs;
use super::cpu::{behind_all, timed};
use super::engine::Engine;
use super::error::{CallError, Error};
use super::instance::Instance;
use super::outcomes::Outcome;
use super::program::Program;
use crate::model::record::{Parts, Record, Stamp, encode};
use crate::model::workflow::expression::Expression;
use crate::model::workflow::read::Reading;
use crate::model::workflow::step::Evaluation;

/// The guest, built by `build.rs` from `expressions/`.
const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/expressions.wasm"));
/// The most evaluations, and about the most bytes, of one call.
const BATCH_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 256 << 10;
/// The most instances that are kept for the next call.
const IDLE_MAX: usize = 16;
/// An instance that has more memory than this after a call is not kept: memory never shrinks.
const IDLE_BYTES_MAX: u64 = 16 << 20;

/// What an expression gives: one value for each; or why one of them gives none.
pub type Given = Result<Vec<Value>, ExpressionError>;

/// Why an expression gives no value. In a run it is an error of the DSL's type `expression`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// It is no jq, or names what is not there.
    #[error("'{expression}' is no expression: {why}")]
    Syntax {
        /// The expression.
        expression: String,
        /// What is wrong and where.
        why: String,
    },
    /// It failed on its input, or did not give one value.
    #[error("'{expression}' gives no value: {why}")]
    Failed {
        /// The expression.
        expression: String,
        /// What it said.
        why: String,
    },
    /// It passed a limit of the guest, or broke it.
    #[error("'{expression}' was broken off: {}", said(.why))]
    BrokenOff {
        /// The expression, or all that were evaluated together.
        expression: String,
        /// What it died of.
        why: CallError,
    },
}

impl ExpressionError {
    /// The stable code, the same in HTTP, CLI and log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "expression-syntax",
            Self::Failed { .. } => "expression-failed",
            Self::BrokenOff { .. } => "expression-broken-off",
        }
    }

    /// What is wrong, without the expression.
    fn why(self) -> String {
        match self {
            Self::Syntax { why, .. } | Self::Failed { why, .. } => why,
            Self::BrokenOff { why, .. } => said(&why),
        }
    }
}

/// What an expression died of. Its limits are the host's: no definition can raise them, as a processor's descriptor can.
fn said(why: &CallError) -> String {
    match why {
        CallError::Deadline { ms } => {
            format!("it took more than {ms} ms of a CPU; have it do less, or call a processor that does it")
        }
        CallError::CallTime { ms } => {
            format!(
                "the machine gave it too little of a CPU in {ms} ms; go on when less else is to be done there"
            )
        }
        CallError::Memory { max, .. } => {
            let mib = max >> 20;
            format!(
                "it wanted more than {mib} MiB of memory; have it keep less, or call a processor that does it"
            )
        }
        other => other.to_string(),
    }
}

/// Evaluates expressions. Cheap to clone; may be used by several threads at one time, each with an instance of its own.
#[derive(Clone)]
pub struct Expressions {
    engine: Engine,
    /// The guest, once somebody needed it.
    program: Arc<Mutex<Option<Program>>>,
    idle: Arc<Mutex<Vec<Instance>>>,
    /// Whose expressions these are, and what they cost.
    whose: Arc<str>,
    costs: Arc<Mutex<Costs>>,
}

impl std::fmt::Debug for Expressions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expressions").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

impl Expressions {
    /// Evaluates with this engine.
    pub fn new(engine: &Engine) -> Self {
        let whose = "none in particular".into();
        Self {
            engine: engine.clone(),
            program: Arc::default(),
            idle: Arc::default(),
            whose,
            costs: Arc::default(),
        }
    }

    /// Evaluates for somebody: what is costly with him is no other's cost.
    pub fn of(&self, whose: &str) -> Self {
        Self { whose: whose.into(), costs: Arc::default(), ..self.clone() }
    }

    /// Compiles the guest now, so that no lane waits for it.
    pub fn prepare(&self) -> Result<(), Error> {
        self.program().map(drop)
    }

    /// Whether the guest is compiled. A host without workflows never needs it.
    pub fn is_ready(&self) -> bool {
        self.program.lock().is_some()
    }

    /// Compiles the guest at first, or takes its code from the engine's cache. It is the host's own code, so that no limits and no process of
    /// its own are needed.
    fn program(&self) -> Result<Program, Error> {
        let mut program = self.program.lock();
        if let Some(program) = &*program {
            return Ok(program.clone());
        }
        Ok(program.insert(self.engine.load_own(COMPONENT)?).clone())
    }

    /// Evaluates. The outer error is the host's: no expression is to blame for it.
    pub fn evaluate(&self, evaluations: &[Evaluation]) -> Result<Vec<Given>, Error> {
        self.ask(evaluations, false)
    }

    /// Whether expressions compile, with these names as their variables; nothing is evaluated.
    pub fn check(&self, evaluations: &[Evaluation]) -> Result<Vec<Result<(), ExpressionError>>, Error> {
        let given = self.ask(evaluations, true)?;
        Ok(given.into_iter().map(|given| given.map(drop)).collect())
    }

    /// Adds to what was read of a definition which of its expressions do not compile.
    pub fn complete(&self, reading: &mut Reading) -> Result<(), Error> {
        let variables: Map<String, Value> =
            reading.variables.iter().map(|name| (name.clone(), Value::Null)).collect();
        let evaluation = |expression: &Expression| Evaluation {
            expressions: vec![expression.clone()],
            input: Value::Null,
            variables: variables.clone(),
        };
        let evaluations: Vec<_> = reading.expressions.iter().map(|one| evaluation(&one.expression)).collect();
        let checked = self.check(&evaluations)?;
        let why = checked.into_iter().map(|checked| checked.err().map(ExpressionError::why));
        reading.compile(|_, _| why.collect());
        Ok(())
    }

    fn ask(&self, evaluations: &[Evaluation], compile_only: bool) -> Result<Vec<Given>, Error> {
        let asked: Vec<Asked<'_>> = evaluations.iter().map(|one| Asked::new(one, compile_only)).collect();
        let mut given = Vec::with_capacity(asked.len());
        let mut rest = asked.as_slice();
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(batch_len(rest));
            given.extend(self.together(batch)?);
            rest = more;
        }
        Ok(given)
    }

    /// In one call; and each alone, if the call breaks.
    fn together(&self, asked: &[Asked<'_>]) -> Result<Vec<Given>, Error> {
        match (self.call(asked)?, asked) {
            (Ok(given), _) => Ok(given),
            (Err(why), [one]) => Ok(vec![Err(one.broken(why))]),
            (Err(_), several) => several.iter().map(|one| self.alone(one)).collect(),
        }
    }

    fn alone(&self, asked: &Asked<'_>) -> Result<Given, Error> {
        Ok(match self.call(std::slice::from_ref(asked))? {
            Ok(given) => given.into_iter().next().unwrap_or_else(|| Err(asked.broken(CallError::Spent))),
            Err(why) => Err(asked.broken(why)),
        })
    }

    /// Behind all other work if calls were costly of late. What gets no CPU there in its time is begun anew among all others.
    fn call(&self, asked: &[Asked<'_>]) -> Result<Result<Vec<Given>, CallError>, Error> {
        if self.costs.lock().stand_behind(Instant::now()) {
            match self.call_at(asked, Place::BehindAll)? {
                Err(CallError::CallTime { .. }) => self.costs.lock().starved(Instant::now()),
                called => return Ok(called),
            }
        }
        self.call_at(asked, Place::AmongAll)
    }

    fn call_at(&self, asked: &[Asked<'_>], place: Place) -> Result<Result<Vec<Given>, CallError>, Error> {
        let kept = self.idle.lock().pop();
        let mut instance = kept.map_or_else(|| self.instantiate(), Ok)?;
        let batch = batch(asked);
        let mut call = || timed(|| instance.call(&batch));
        let (called, took) = match place {
            Place::AmongAll => call(),
            Place::BehindAll => behind_all(call).map_err(|error| Error::Engine {
                why: format!("no thread for a costly expression: {error}"),
            })?,
        };
        self.took(took);
        let given = called.map(|outcomes| {
            let answers = asked.iter().zip(outcomes.iter());
            answers.map(|(asked, outcome)| asked.given(&outcome)).collect()
        });
        self.keep(instance);
        Ok(given)
    }

    /// Its own time is CPU time: on a machine that is short of CPUs, time goes by for what does nothing wrong.
    fn instantiate(&self) -> Result<Instance, Error> {
        let mut instance = self.program()?.instantiate(Arc::new(NoHostCalls))?;
        instance.count_cpu_time();
        Ok(instance)
    }

    fn took(&self, cpu_time: Duration) {
        if self.costs.lock().took(cpu_time, Instant::now()) {
            tracing::warn!(
                mediator = &*self.whose,
                cpu_ms = cpu_time.as_millis(),
                "its expressions are costly; while they are, they are evaluated when nobody else wants a CPU"
            );
        }
    }

    fn keep(&self, instance: Instance) {
        let mut idle = self.idle.lock();
        if !instance.is_spent() && instance.memory_bytes() <= IDLE_BYTES_MAX && idle.len() < IDLE_MAX {
            idle.push(instance);
        }
    }
}

/// Where a call stands when there are too few CPUs.
#[derive(Clone, Copy)]
enum Place {
    AmongAll,
    BehindAll,
}

/// What one event asks of the guest.
struct Asked<'a> {
    evaluation: &'a Evaluation,
    json: Vec<u8>,
}

/// What the guest reads.
#[derive(Serialize)]
struct Request<'a> {
    expressions: &'a [Expression],
    input: &'a Value,
    variables: &'a Map<String, Value>,
    compile_only: bool,
}

/// What the guest replies.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Values(Vec<Value>),
    Wrong { expression: usize, syntax: bool, why: String },
}

impl<'a> Asked<'a> {
    fn new(evaluation: &'a Evaluation, compile_only: bool) -> Self {
        let Evaluation { expressions, input, variables } = evaluation;
        let request = Request { expressions, input, variables, compile_only };
        // Writing values to memory cannot fail; what is empty the guest refuses.
        Self { evaluation, json: serde_json::to_vec(&request).unwrap_or_default() }
    }

    fn given(&self, outcome: &Outcome<'_>) -> Given {
        match outcome.reply().map(serde_json::from_slice) {
            Some(Ok(Answer::Values(values))) => Ok(values),
            Some(Ok(Answer::Wrong { expression, syntax, why })) => {
                let expression = self.evaluation.expressions.get(expression);
                let expression = expression.map_or_else(String::new, |one| one.as_str().to_owned());
                Err(match syntax {
                    true => ExpressionError::Syntax { expression, why },
                    false => ExpressionError::Failed { expression, why },
                })
            }
            Some(Err(error)) => Err(self.broken(CallError::malformed(error.to_string()))),
            None => {
                let why = outcome.note().unwrap_or("it said nothing").to_owned();
                Err(ExpressionError::Failed { expression: self.expressions(), why })
            }
        }
    }

    fn broken(&self, why: CallError) -> ExpressionError {
        ExpressionError::BrokenOff { expression: self.expressions(), why }
    }

    fn expressions(&self) -> String {
        let texts: Vec<&str> = self.evaluation.expressions.iter().map(|one| one.as_str()).collect();
        texts.join("', '")
    }
}

/// How many of them, at least one, go into one call.
fn batch_len(asked: &[Asked<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |one: &&Asked<'_>| {
        bytes += one.json.len();
        bytes <= BATCH_BYTES_MAX
    };
    asked.iter().take(BATCH_MAX).take_while(fits).count().max(1)
}

/// An event for each, on a clock that stands still.
fn batch(asked: &[Asked<'_>]) -> Batch {
    let mut batch = Batch::new(0, 0);
    let mut bytes = Vec::new();
    for (number, asked) in asked.iter().enumerate() {
        let key = number.to_string();
        let data = Some(asked.json.as_slice());
        let datacontenttype = Some("application/json");
        let parts =
            Parts { id: &key, source: "/", ty: "evaluation", datacontenttype, data, ..Parts::default() };
        bytes.clear();
        encode(
            &mut bytes,
            &parts,
            &Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 },
            [].into_iter(),
        );
        if let Ok(record) = Record::parse(&bytes) {
            batch.push("evaluations", &key, number as u64, 1, 0, &record);
        }
    }
    batch
}
