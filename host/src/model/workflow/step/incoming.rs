//! What happened, found its place in the run.

use serde_json::Value;

use super::super::command::{Command, Ignored, Note, Outcome, What};
use super::super::failure::{Error, Kind};
use super::super::run::{Doing, Ending, ROOT, Status, Tries, is_too_deep};
use super::super::task::{Action, Listen, Read, TaskRef};
use super::{Failing, Machine, Todo};

impl Machine<'_> {
    /// Takes what happened, or says why it changes nothing.
    pub(super) fn take(&mut self, what: What) -> Result<(), Ignored> {
        if self.comes_with(&what).is_some_and(is_too_deep) {
            return Err(Ignored::TooDeep);
        }
        match what {
            What::Start if self.run.status == Status::Pending => {
                self.next(Todo::Begin);
                Ok(())
            }
            What::Start => Err(Ignored::Begun),
            What::Cancel if self.run.status == Status::Pending => {
                self.over(Ending::Cancelled);
                Ok(())
            }
            _ if self.run.status == Status::Pending => Err(Ignored::NotAwaited { task: None }),
            _ if self.run.scopes.is_empty() => Err(Ignored::Over),
            What::Acknowledged { task, attempt, outcome } => self.acknowledged(task, attempt, outcome),
            What::Due { timer } => self.due(timer),
            What::Taken { task, attempt, filter, event } => {
                self.taken(&task, attempt, filter, event).map(drop)
            }
            What::Resume { from, input } => self.resume(from, input),
            What::Skip { task, output } => self.skip(task, output),
            What::Signal { ty, event } => self.signal(&ty, event),
            What::Cancel if self.run.ending.is_some() => Err(Ignored::Undoing),
            What::Cancel => {
                self.end(Ending::Cancelled);
                Ok(())
            }
        }
    }

    /// The value with which something happens that nobody has looked at before. What a processor gave is looked at when its task is left.
    fn comes_with<'w>(&'w self, what: &'w What) -> Option<&'w Value> {
        match what {
            What::Start => Some(&self.run.input),
            What::Taken { event, .. } | What::Signal { event, .. } => Some(event),
            What::Skip { output, .. } => Some(output),
            What::Resume { input, .. } => input.as_ref(),
            What::Acknowledged { .. } | What::Due { .. } | What::Cancel => None,
        }
    }

    fn find(&self, is: impl Fn(&TaskRef, &Doing) -> bool) -> Option<u32> {
        let mut scopes = self.run.scopes.iter();
        scopes.find(|(_, scope)| is(&scope.task, &scope.doing)).map(|(number, _)| *number)
    }

    fn acknowledged(&mut self, task: TaskRef, attempt: u32, outcome: Outcome) -> Result<(), Ignored> {
        let awaits = |at: &TaskRef, doing: &Doing| *at == task && *doing == Doing::Calling(attempt);
        let Some(scope) = self.find(awaits) else {
            return self.late(task, attempt, outcome);
        };
        match outcome {
            Outcome::Done(output) => self.finish(scope, output),
            Outcome::Failed(error) => {
                self.set(scope, Doing::Tasks);
                let error = Error { instance: task.0, ..error };
                self.next(Todo::Fail(Failing::new(scope, error)));
            }
            Outcome::TakenBack => return Err(Ignored::NotAwaited { task: Some(task) }),
        }
        Ok(())
    }

    /// An acknowledgement of a command that nobody waits for any more.
    fn late(&mut self, task: TaskRef, attempt: u32, outcome: Outcome) -> Result<(), Ignored> {
        let is = self.run.left.iter().position(|left| left.task == task && left.attempt == attempt);
        let Some(at) = is else { return Err(Ignored::NotAwaited { task: Some(task) }) };
        let left = self.run.left.remove(at);
        let output = match outcome {
            Outcome::Done(output) => Some(output),
            Outcome::Failed(_) | Outcome::TakenBack => None,
        };
        self.settle(left, output);
        Ok(())
    }

    fn due(&mut self, timer: u64) -> Result<(), Ignored> {
        let timed_out = self.run.scopes.iter().find(|(_, scope)| scope.timeout == Some(timer));
        if let Some(number) = timed_out.map(|(number, _)| *number) {
            self.time_out(number);
            return Ok(());
        }
        let waits = |_: &TaskRef, doing: &Doing| match doing {
            Doing::Waiting(at) | Doing::Pausing { timer: at, .. } => *at == timer,
            Doing::Trying(tries) => tries.timer == Some(timer),
            _ => false,
        };
        let scope = self.find(waits).ok_or(Ignored::NotAwaited { task: None })?;
        let (input, doing) = match self.run.scopes.get(&scope) {
            Some(scope) => (scope.input.clone(), scope.doing.clone()),
            None => return Err(Ignored::NotAwaited { task: None }),
        };
        match doing {
            Doing::Pausing { tries, .. } => self.attempt(scope, tries.retries, tries.since_ms),
            Doing::Trying(tries) => {
                self.set(scope, Doing::Trying(Tries { timer: None, ..tries }));
                let why = "an attempt took longer than the retry allows";
                let error = Error::new(Kind::Timeout, self.place(scope).0, why);
                self.next(Todo::Fail(Failing { within: true, ..Failing::new(scope, error) }));
            }
            _ => self.finish(scope, input),
        }
        Ok(())
    }

    fn time_out(&mut self, scope: u32) {
        if let Some(scope) = self.run.scopes.get_mut(&scope) {
            scope.timeout = None;
        }
        let what = if scope == ROOT { "the workflow" } else { "the task" };
        let error = Error::new(Kind::Timeout, self.place(scope).0, format!("{what} took too long"));
        let raised = scope == ROOT;
        self.next(Todo::Fail(Failing { raised, ..Failing::new(scope, error) }));
    }

    /// Gives a listening task an event; says whether it is done.
    fn taken(&mut self, task: &TaskRef, attempt: u32, filter: usize, event: Value) -> Result<bool, Ignored> {
        let not_awaited = || Ignored::NotAwaited { task: Some(task.clone()) };
        let listens = |at: &TaskRef, doing: &Doing| {
            at == task && matches!(doing, Doing::Listening { attempt: at, .. } if *at == attempt)
        };
        let scope = self.find(listens).ok_or_else(not_awaited)?;
        let listen = self.listen_of(scope).filter(|listen| filter < listen.filters.len());
        let (all, read, count) =
            listen.map(|one| (one.all, one.read, one.filters.len())).ok_or_else(not_awaited)?;
        let Some(Doing::Listening { taken, .. }) =
            self.run.scopes.get_mut(&scope).map(|scope| &mut scope.doing)
        else {
            return Err(not_awaited());
        };
        if taken.contains_key(&filter) {
            return Err(not_awaited());
        }
        taken.insert(filter, read_of(read, event));
        let is_done = !all || taken.len() == count;
        if is_done {
            let output = taken.values().cloned().collect();
            self.finish(scope, output);
        }
        Ok(is_done)
    }

    fn listen_of(&self, scope: u32) -> Option<&Listen> {
        match &self.task(scope)?.action {
            Action::Listen(listen) => Some(listen),
            _ => None,
        }
    }

    fn signal(&mut self, ty: &str, event: Value) -> Result<(), Ignored> {
        let waiting = self.run.scopes.iter().find_map(|(number, scope)| {
            let Doing::Listening { attempt, taken } = &scope.doing else { return None };
            let mut filters = self.listen_of(*number)?.filters.iter().enumerate();
            let filter = filters.find(|(at, filter)| filter.ty == ty && !taken.contains_key(at))?.0;
            Some((scope.task.clone(), *attempt, filter))
        });
        let (task, attempt, filter) = waiting.ok_or(Ignored::NotAwaited { task: None })?;
        if self.taken(&task, attempt, filter, event)? {
            self.commands.push(Command::ListenOff { task, attempt });
        }
        Ok(())
    }

    fn skip(&mut self, task: TaskRef, output: Value) -> Result<(), Ignored> {
        if self.definition.task(&task).is_none() {
            return Err(Ignored::NoTask { task });
        }
        let Some(scope) = self.find(|at, _| *at == task) else { return Err(Ignored::NotUnderWay { task }) };
        self.unwind(scope);
        self.let_go(scope);
        self.counts_as_done(scope);
        self.note(&task, Note::Skipped);
        self.finish(scope, output);
        Ok(())
    }

    /// A command whose task counts as done is undone as such, and not once more if it was carried out after all.
    fn counts_as_done(&mut self, scope: u32) {
        let Some(scope) = self.run.scopes.get(&scope) else { return };
        let Doing::Calling(attempt) = scope.doing else { return };
        let left = self.run.left.iter_mut().filter(|left| left.task == scope.task && left.attempt == attempt);
        left.for_each(|left| left.undo = None);
    }

    fn resume(&mut self, from: Option<TaskRef>, input: Option<Value>) -> Result<(), Ignored> {
        let is_failed = |doing: &Doing| matches!(doing, Doing::Failed { .. });
        let failed = self.run.scopes.iter().filter(|(_, scope)| is_failed(&scope.doing));
        let failed: Vec<u32> = failed.map(|(number, _)| *number).collect();
        match (from, failed.as_slice()) {
            (_, []) => return Err(Ignored::NotFaulted),
            (None, [_, _, ..]) if input.is_some() => return Err(Ignored::Several),
            (None, failed) => failed.iter().rev().for_each(|scope| self.again_at(*scope, input.clone())),
            (Some(task), failed) => {
                let exact = failed.iter().find(|scope| self.place(**scope) == task);
                match exact {
                    Some(scope) => self.again_at(*scope, input),
                    None => self.go_to(task, failed, input)?,
                }
            }
        }
        Ok(())
    }

    /// Tries again what failed. If only what was to be made of its output is at fault, the output is taken again and nothing is done twice.
    fn again_at(&mut self, number: u32, input: Option<Value>) {
        let Some(scope) = self.run.scopes.get(&number).cloned() else { return };
        self.note(&scope.task, Note::Resumed);
        match scope.doing.clone() {
            Doing::Failed { output: Some(given), round: Some((items, at)), .. } if input.is_none() => {
                self.set(number, Doing::Items { items, number: at });
                return self.next(Todo::Item { scope: number, number: at, given });
            }
            Doing::Failed { output: Some(output), .. } if input.is_none() => {
                return self.finish(number, output);
            }
            _ => {}
        }
        let given = input.unwrap_or_else(|| scope.given().clone());
        match (self.task(number), scope.parent) {
            (Some(task), Some(parent)) => {
                self.break_off(number);
                self.next(Todo::Enter { task, parent, given });
            }
            _ => {
                self.run.input = given;
                self.next(Todo::Begin);
            }
        }
    }

    /// Goes on at another task: of the list of what failed, or of one round it.
    fn go_to(&mut self, task: TaskRef, failed: &[u32], input: Option<Value>) -> Result<(), Ignored> {
        let Some(target) = self.definition.task(&task) else { return Err(Ignored::NoTask { task }) };
        for number in failed {
            let mut at = *number;
            while let Some((parent, scope)) = self.run.scopes.get(&at).and_then(|at| Some((at.parent?, at))) {
                if self.list(parent).iter().any(|one| one.at == task && !one.compensates) {
                    let given = input.unwrap_or_else(|| scope.given().clone());
                    self.break_off(at);
                    self.note(&task, Note::Resumed);
                    self.next(Todo::Enter { task: target, parent, given });
                    return Ok(());
                }
                at = parent;
            }
        }
        Err(Ignored::NotInReach { task })
    }
}

fn read_of(read: Read, event: Value) -> Value {
    match read {
        Read::Data => event.get("data").cloned().unwrap_or_default(),
        Read::Envelope | Read::Raw => event,
    }
}
