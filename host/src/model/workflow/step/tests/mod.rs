//! Runs as plain values: what happens goes in, the run and its commands come out. Definitions are written as people write them. This file has
//! what the tests of all subjects share.

mod cancel;
mod data;
mod flow;
mod fork;
mod listen;
mod random;
mod resume;
mod rounds;
mod skip;
mod time;
mod toy;
mod tries;
mod undo;

use serde_json::{Value, json};

use super::super::command::{Command, Ignored, Input, Note, Outcome, What};
use super::super::definition::Definition;
use super::super::failure::{Error, Kind};
use super::super::read::read;
use super::super::run::{Run, Status};
use super::super::task::TaskRef;
use super::{Done, Step, step};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: test, version: '1.0.0' }\n";

/// A workflow of these tasks, or with more than tasks, if a line says `do:`.
fn workflow(text: &str) -> Definition {
    let body = if text.starts_with('-') { format!("do:\n{text}") } else { text.to_owned() };
    read(&format!("{HEAD}{body}")).fine().unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// A run of a definition with the commands of its last step.
struct Case {
    definition: Definition,
    run: Run,
    commands: Vec<Command>,
    at_ms: u64,
    chance: u64,
}

impl Case {
    /// A run of this workflow that has begun.
    fn start(text: &str, input: Value) -> Self {
        let mut case = Self::pending(text, input);
        case.takes(What::Start);
        case
    }

    /// One that has not.
    fn pending(text: &str, input: Value) -> Self {
        let run = Run::new("run", input, 1_000);
        Self { definition: workflow(text), run, commands: Vec::new(), at_ms: 1_000, chance: 0 }
    }

    /// Goes on with what happened, or says why it changes nothing.
    fn tries(&mut self, what: What) -> Result<(), Ignored> {
        let input = Input { at_ms: self.at_ms, chance: self.chance, what };
        let mut at = step(&self.definition, self.run.clone(), input);
        let Done { run, commands } = loop {
            at = match at {
                Step::Evaluate(paused) => {
                    let evaluated = toy::evaluate(paused.evaluation());
                    paused.go_on(evaluated)
                }
                Step::Done(done) => break done,
                Step::Ignored(ignored) => return Err(ignored),
            };
        };
        (self.run, self.commands) = (run, commands);
        Ok(())
    }

    fn takes(&mut self, what: What) {
        self.tries(what).unwrap();
    }

    /// What is not taken changes nothing; the word for why.
    fn ignores(&mut self, what: What) -> &'static str {
        self.tries(what).unwrap_err().code()
    }

    /// The place of the task with a name. A name with a slash in it is a place already.
    fn place(&self, name: &str) -> TaskRef {
        let named = self.definition.all().into_iter().find(|task| task.name == name);
        named.map_or_else(|| TaskRef(name.to_owned()), |task| task.at.clone())
    }

    fn acknowledgement(&self, name: &str, attempt: u32, outcome: Outcome) -> What {
        What::Acknowledged { task: self.place(name), attempt, outcome }
    }

    /// An attempt at a task was carried out.
    fn done_at(&mut self, name: &str, attempt: u32, output: Value) {
        self.takes(self.acknowledgement(name, attempt, Outcome::Done(output)));
    }

    /// The latest attempt was.
    fn done(&mut self, name: &str, output: Value) {
        self.done_at(name, self.latest(name), output);
    }

    /// The latest attempt at a task failed.
    fn failed(&mut self, name: &str) {
        let error = Error::new(Kind::Communication, "elsewhere", format!("{name} failed"));
        self.takes(self.acknowledgement(name, self.latest(name), Outcome::Failed(error)));
    }

    /// The latest attempt was taken back.
    fn taken_back(&mut self, name: &str) {
        self.takes(self.acknowledgement(name, self.latest(name), Outcome::TakenBack));
    }

    fn latest(&self, name: &str) -> u32 {
        self.run.attempts.get(&self.place(name)).copied().unwrap_or_default()
    }

    /// A timer is due.
    fn due(&mut self, timer: u64) {
        self.takes(What::Due { timer });
    }

    fn resume(&mut self) {
        self.takes(What::Resume { from: None, input: None });
    }

    fn resume_at(&mut self, name: &str, input: Option<Value>) {
        self.takes(What::Resume { from: Some(self.place(name)), input });
    }

    fn skip(&mut self, name: &str, output: Value) {
        self.takes(What::Skip { task: self.place(name), output });
    }

    fn cancel(&mut self) {
        self.takes(What::Cancel);
    }

    /// An event for a task that listens.
    fn event(&self, name: &str, filter: usize, data: Value) -> What {
        let event = json!({"type": "told", "data": data});
        What::Taken { task: self.place(name), attempt: self.latest(name), filter, event }
    }

    /// The commands of the last step in short, without notes.
    fn told(&self) -> Vec<String> {
        self.commands.iter().filter_map(told).collect()
    }

    /// The notes of the last step in short.
    fn notes(&self) -> Vec<String> {
        let notes = self.commands.iter().filter_map(|command| match command {
            Command::Note { task, note } => Some(format!("{} {}", name_of(task), noted(note))),
            _ => None,
        });
        notes.collect()
    }

    /// The data of the event that the last step had a processor given for a task.
    fn data(&self, name: &str) -> Value {
        let at = self.place(name);
        let made = self.commands.iter().find_map(|command| match command {
            Command::Call { task, event, .. } | Command::Emit { task, event } if *task == at => Some(event),
            _ => None,
        });
        made.unwrap_or_else(|| panic!("no event of {name} in {:?}", self.commands)).data.clone()
    }

    /// The tasks that failed.
    fn failures(&self) -> Vec<&str> {
        self.run.failures().map(|(scope, _)| name_of(&scope.task)).collect()
    }

    /// Why the first of them failed.
    fn why(&self) -> &Error {
        self.run.failures().next().unwrap().1
    }

    fn status(&self) -> Status {
        self.run.status
    }

    /// The run is over, with nothing left in it.
    fn is_over(&self, status: Status) {
        assert_eq!(self.run.status, status);
        assert!(self.run.is_over() && self.run.undo.is_empty() && self.run.failures().next().is_none());
        assert_eq!(self.commands.last(), Some(&Command::Ended));
    }

    /// The run is completed and gave this.
    fn gave(&self, output: Value) {
        self.is_over(Status::Completed);
        assert_eq!(self.run.output, Some(output));
    }
}

/// The name of the task at a place.
fn name_of(task: &TaskRef) -> &str {
    task.as_str().rsplit('/').next().unwrap_or_default()
}

fn told(command: &Command) -> Option<String> {
    Some(match command {
        Command::Call { task, attempt, .. } => format!("call {} {attempt}", name_of(task)),
        Command::TakeBack { task, attempt } => format!("take back {} {attempt}", name_of(task)),
        Command::Timer { timer, after_ms, task } => format!("timer {timer} {} {after_ms}", name_of(task)),
        Command::TimerOff { timer } => format!("timer {timer} off"),
        Command::Listen { task, attempt, .. } => format!("listen {} {attempt}", name_of(task)),
        Command::ListenOff { task, attempt } => format!("listen {} {attempt} off", name_of(task)),
        Command::Emit { task, event } => format!("emit {} {}", name_of(task), event.ty),
        Command::Ended => "ended".to_owned(),
        Command::Note { .. } => return None,
    })
}

fn noted(note: &Note) -> String {
    match note {
        Note::Began => "began".to_owned(),
        Note::LeftOut => "left out".to_owned(),
        Note::Done => "done".to_owned(),
        Note::BrokenOff => "broken off".to_owned(),
        Note::Failed(_) => "failed".to_owned(),
        Note::Again(ms) => format!("again {ms}"),
        Note::Caught(_) => "caught".to_owned(),
        Note::Skipped => "skipped".to_owned(),
        Note::Resumed => "resumed".to_owned(),
        Note::Undone => "undone".to_owned(),
    }
}
