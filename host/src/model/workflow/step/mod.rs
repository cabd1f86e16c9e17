//! The step machine: what follows in a run when something happens. Pure: [`step`] is given the definition, the run and what happened, and
//! returns the run as it is then, with commands for others. It keeps no clock and evaluates nothing: where a value is needed that an expression
//! gives, it stops, and whoever called evaluates and lets it [go on](Paused::go_on).
//!
//! A run is a tree of scopes: the workflow, and in it the tasks that are under way. The machine works off a list of things to do, mostly one:
//!
//! * `enter` a task: its condition, its input, then what it does; tasks with others in them enter those;
//! * `leave` it with what it gave: output, context, then its parent goes on, which may leave in turn;
//! * `fail`: the nearest `try` that catches goes on; without one the scope stays where it failed, with everything round it, until an operator
//!   says how to go on;
//! * `undo` what is done, in reverse order, when the run is cancelled or the definition itself gave up (`raise`, the workflow's timeout). A run
//!   that is completed undoes only what nobody wanted any more when it was done: losers of a fork, and attempts that came too late.
//!
//! Each of these first asks for all values that it needs, by functions that can not change the run, and then changes it. So it can stop for a
//! value and begin again with it, and nothing is done twice.

mod enter;
mod fail;
mod incoming;
mod leave;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
mod undo;
mod values;

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::command::{Command, Ignored, Input, Note};
use super::definition::Definition;
use super::expression::Expression;
use super::failure::{Error, Kind};
use super::run::{Doing, ROOT, Run, Scope, Status};
use super::task::{Task, TaskRef, Then};

/// The most tasks that one step begins: a workflow that goes on for longer without waiting for anything is stopped.
pub const BEGUN_MAX: u32 = 20_000;
/// The most items that a `for` goes through.
pub const ITEMS_MAX: usize = 10_000;

/// What a step came to.
#[derive(Debug)]
pub enum Step<'a> {
    /// It needs values: evaluate them and let it go on.
    Evaluate(Paused<'a>),
    /// It is done.
    Done(Done),
    /// It changes nothing.
    Ignored(Ignored),
}

/// A run after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The run.
    pub run: Run,
    /// What others are to do, in this order.
    pub commands: Vec<Command>,
}

/// Expressions that are evaluated on the same input with the same variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The expressions.
    pub expressions: Vec<Expression>,
    /// What `.` is.
    pub input: Value,
    /// Their variables, those that they name, without the `$`.
    pub variables: Map<String, Value>,
}

/// What expressions gave, one value for each; or why one of them gave none.
pub type Evaluated = Result<Vec<Value>, String>;

/// A step that needs values.
#[derive(Debug)]
pub struct Paused<'a> {
    machine: Machine<'a>,
    given: Vec<Evaluated>,
    needed: Evaluation,
}

impl<'a> Paused<'a> {
    /// What is to be evaluated.
    pub fn evaluation(&self) -> &Evaluation {
        &self.needed
    }

    /// Goes on with what it gave.
    pub fn go_on(mut self, evaluated: Evaluated) -> Step<'a> {
        self.given.push(evaluated);
        self.machine.go_on(self.given)
    }
}

/// Takes a run on by what happened.
pub fn step(definition: &Definition, run: Run, input: Input) -> Step<'_> {
    let Input { at_ms, chance, what } = input;
    let (commands, todos) = (Vec::new(), VecDeque::new());
    let mut machine = Machine { definition, run, commands, todos, at_ms, chance, begun: 0 };
    match machine.take(what) {
        Ok(()) => machine.go_on(Vec::new()),
        Err(ignored) => Step::Ignored(ignored),
    }
}

/// A run while a step is made.
#[derive(Debug)]
struct Machine<'a> {
    definition: &'a Definition,
    run: Run,
    commands: Vec<Command>,
    todos: VecDeque<Todo<'a>>,
    at_ms: u64,
    chance: u64,
    begun: u32,
}

/// Something to do.
#[derive(Debug)]
enum Todo<'a> {
    /// Begin the workflow with what the run was started with.
    Begin,
    /// Begin a task in a scope.
    Enter { task: &'a Task, parent: u32, given: Value },
    /// Begin the task of the scope's list that follows this one, or the first; leave the scope if there is none.
    Follow { scope: u32, after: Option<&'a Task>, given: Value },
    /// Begin the tasks of a `for` for the item with this number.
    Item { scope: u32, number: usize, given: Value },
    /// A scope's work is done, and gave this; what follows is what the task says, unless something else is said.
    Leave { scope: u32, output: Value, then: Option<Then> },
    /// A task is gone from its parent with this output. If it was left out, nothing is said of what follows.
    Ended { task: &'a Task, parent: u32, output: Value, then: Option<Then> },
    /// A scope failed.
    Fail(Failing),
    /// End the run with this output.
    Finish(Value),
    /// Undo the next of what is done.
    Undo,
}

/// A scope that failed.
#[derive(Debug)]
struct Failing {
    scope: u32,
    error: Error,
    /// What the scope gave, if only what was to be made of it is at fault.
    output: Option<Value>,
    /// Whether the scope itself may catch it: its own tasks failed as a whole.
    within: bool,
    /// Whether the definition gave up by itself.
    raised: bool,
}

impl Failing {
    fn new(scope: u32, error: Error) -> Self {
        Self { scope, error, output: None, within: false, raised: false }
    }
}

/// Something that is begun again once it has the values that it needs.
#[derive(Debug)]
struct Needed<'a> {
    todo: Todo<'a>,
    evaluation: Evaluation,
}

impl<'a> Needed<'a> {
    fn by(todo: Todo<'a>, evaluation: Evaluation) -> Box<Self> {
        Box::new(Self { todo, evaluation })
    }
}

/// Why something can not be done now.
#[derive(Debug)]
enum Stop {
    /// Values are needed first.
    Need(Evaluation),
    /// It failed.
    Fault(Error),
}

impl<'a> Machine<'a> {
    /// Works off what is to do, until there is nothing or a value is needed.
    fn go_on(mut self, given: Vec<Evaluated>) -> Step<'a> {
        let mut answers = values::Answers::new(given);
        while let Some(todo) = self.todos.pop_front() {
            match self.transit(todo, &mut answers) {
                Ok(()) => answers = values::Answers::default(),
                Err(needed) => {
                    let Needed { todo, evaluation: needed } = *needed;
                    self.todos.push_front(todo);
                    return Step::Evaluate(Paused { machine: self, given: answers.given(), needed });
                }
            }
        }
        self.run.status = self.status();
        Step::Done(Done { run: self.run, commands: self.commands })
    }

    fn transit(&mut self, todo: Todo<'a>, answers: &mut values::Answers) -> Result<(), Box<Needed<'a>>> {
        if !self.is_there(&todo) {
            return Ok(());
        }
        match todo {
            Todo::Begin => self.begin(answers),
            Todo::Enter { task, parent, given } if answers.is_fresh() && self.is_endless() => {
                self.stop(task, parent, given);
                Ok(())
            }
            Todo::Enter { task, parent, given } => self.enter(task, parent, given, answers),
            Todo::Follow { scope, after, given } => {
                self.follow(scope, after, given);
                Ok(())
            }
            Todo::Item { scope, number, given } => self.item(scope, number, given, answers),
            Todo::Leave { scope, output, then } => self.leave(scope, output, then, answers),
            Todo::Ended { task, parent, output, then } => {
                self.ended(task, parent, output, then);
                Ok(())
            }
            Todo::Fail(failing) => self.fail(failing, answers),
            Todo::Finish(output) => {
                self.unwind(ROOT);
                self.next(Todo::Leave { scope: ROOT, output, then: None });
                Ok(())
            }
            Todo::Undo => {
                self.undo();
                Ok(())
            }
        }
    }

    /// Whether the scope that something to do is about is still there and at work.
    fn is_there(&self, todo: &Todo<'_>) -> bool {
        let scope = match todo {
            Todo::Begin => return true,
            Todo::Enter { parent, .. } | Todo::Ended { parent, .. } => *parent,
            Todo::Follow { scope, .. } | Todo::Item { scope, .. } | Todo::Leave { scope, .. } => *scope,
            Todo::Fail(failing) => failing.scope,
            Todo::Finish(_) | Todo::Undo => ROOT,
        };
        self.run.scopes.get(&scope).is_some_and(|scope| !matches!(scope.doing, Doing::Failed { .. }))
    }

    /// Counts tasks that begin.
    fn is_endless(&mut self) -> bool {
        self.begun = self.begun.saturating_add(1);
        self.begun > BEGUN_MAX
    }

    /// What would begin fails instead.
    fn stop(&mut self, task: &'a Task, parent: u32, given: Value) {
        let scope = self.add(Scope::new(Some(parent), task.at.clone(), given, self.at_ms));
        let why = format!("more than {BEGUN_MAX} tasks began without one that waits for anything");
        let error = Error::new(Kind::Runtime, task.at.as_str(), why);
        self.next(Todo::Fail(Failing::new(scope, error)));
    }

    /// Does this before all else.
    fn next(&mut self, todo: Todo<'a>) {
        self.todos.push_front(todo);
    }

    fn note(&mut self, task: &TaskRef, note: Note) {
        self.commands.push(Command::Note { task: task.clone(), note });
    }

    /// Where a scope stands in the definition.
    fn place(&self, scope: u32) -> TaskRef {
        self.run.scopes.get(&scope).map(|scope| scope.task.clone()).unwrap_or_default()
    }

    /// The task that a scope is; the workflow is none.
    fn task(&self, scope: u32) -> Option<&'a Task> {
        self.definition.task(&self.run.scopes.get(&scope)?.task)
    }

    fn timer(&mut self, after_ms: u64, task: &TaskRef) -> u64 {
        let timer = self.run.next_timer;
        self.run.next_timer += 1;
        self.commands.push(Command::Timer { timer, after_ms, task: task.clone() });
        timer
    }

    fn add(&mut self, scope: Scope) -> u32 {
        let number = self.run.next_scope;
        self.run.next_scope += 1;
        self.run.scopes.insert(number, scope);
        number
    }

    fn set(&mut self, scope: u32, doing: Doing) {
        if let Some(scope) = self.run.scopes.get_mut(&scope) {
            scope.doing = doing;
        }
    }

    /// How the run is between two steps.
    fn status(&self) -> Status {
        let run = &self.run;
        let doing = |is: fn(&Doing) -> bool| run.scopes.values().any(|scope| is(&scope.doing));
        if run.scopes.is_empty() {
            run.status
        } else if run.failures().next().is_some() {
            Status::Faulted
        } else if doing(|doing| matches!(doing, Doing::Calling(_) | Doing::Undoing)) {
            Status::Running
        } else {
            Status::Waiting
        }
    }
}
