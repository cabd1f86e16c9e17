//! How tasks end, and what follows them.

use serde_json::Value;

use super::super::command::{Command, Note};
use super::super::definition::Output;
use super::super::failure::{Error, Kind};
use super::super::run::{Doing, Ending, ROOT, Undo, is_too_deep};
use super::super::task::{Action, For, Task, TaskRef, Then};
use super::values::{Answers, Place};
use super::{Failing, Machine, Needed, Stop, Todo};

/// What a scope leaves behind.
struct Left {
    /// Its output, where that is not what it gave.
    output: Option<Value>,
    context: Option<Value>,
}

impl<'a> Machine<'a> {
    /// Ends a scope whose work is done.
    pub(super) fn leave(
        &mut self,
        scope: u32,
        raw: Value,
        then: Option<Then>,
        answers: &mut Answers,
    ) -> Result<(), Box<Needed<'a>>> {
        match self.left(scope, &raw, answers) {
            Err(Stop::Need(needed)) => {
                return Err(Needed::by(Todo::Leave { scope, output: raw, then }, needed));
            }
            Err(Stop::Fault(error)) => {
                // A switch is begun anew, which costs nothing: else where it goes on would be lost.
                let output = then.is_none().then_some(if is_too_deep(&raw) { Value::Null } else { raw });
                self.next(Todo::Fail(Failing { output, ..Failing::new(scope, error) }));
            }
            Ok(left) if scope == ROOT => self.complete(left.output.unwrap_or(raw)),
            Ok(Left { output, context }) => self.gone(scope, output.unwrap_or(raw), context, then),
        }
        Ok(())
    }

    /// What a scope's output and the context become.
    fn left(&self, scope: u32, raw: &Value, answers: &mut Answers) -> Result<Left, Stop> {
        let place = Place::of(self, scope).raw_output(raw);
        let output = |form: &Output, answers: &mut Answers| match made(form, &place, raw, answers)? {
            Some(output) => Ok(Some(output)),
            None => place.shallow(raw).map(|()| None),
        };
        let Some(task) = self.task(scope) else {
            return Ok(Left { output: output(&self.definition.output, answers)?, context: None });
        };
        let output = output(&task.output, answers)?;
        let given = output.as_ref().unwrap_or(raw);
        let context = made(&task.export, &place.output(given), given, answers)?;
        Ok(Left { output, context })
    }

    fn gone(&mut self, number: u32, output: Value, context: Option<Value>, then: Option<Then>) {
        let (task, undo) = (self.task(number), self.undo_of(number));
        let (Some(task), Some(scope)) = (task, self.run.scopes.remove(&number)) else { return };
        self.commands.extend(scope.timeout.map(|timer| Command::TimerOff { timer }));
        self.note(&task.at, Note::Done);
        self.run.context = context.or_else(|| self.run.context.take());
        self.run.undo.extend(undo.map(|undo| Undo { output: output.clone(), ..undo }));
        let then = then.unwrap_or_else(|| task.then.clone());
        self.next(Todo::Ended { task, parent: scope.parent.unwrap_or(ROOT), output, then: Some(then) });
    }

    /// The workflow is done. What nobody wanted any more and was done all the same is undone.
    fn complete(&mut self, output: Value) {
        self.let_go(ROOT);
        self.note(&TaskRef::default(), Note::Done);
        self.run.undo.retain(|undo| undo.unwanted);
        self.undo_all(Ending::Completed(output));
    }

    /// What follows a task in its parent; no direction, if it was left out.
    pub(super) fn ended(&mut self, task: &'a Task, parent: u32, output: Value, then: Option<Then>) {
        match self.run.scopes.get(&parent).map(|scope| &scope.doing) {
            Some(Doing::Undoing) => {
                if then.is_some() {
                    self.note(&task.at, Note::Undone);
                }
                self.next(Todo::Undo);
            }
            Some(Doing::Branches(_)) if self.run.ending.is_none() && then == Some(Then::End) => {
                self.next(Todo::Finish(output));
            }
            Some(Doing::Branches(_)) => self.branch_ended(task, parent, output, then.is_some()),
            _ => self.directed(task, parent, output, then.unwrap_or_default()),
        }
    }

    /// A fork is done with all its branches, or with the first, where they compete. A branch that was left out wins nothing.
    fn branch_ended(&mut self, task: &'a Task, fork: u32, output: Value, is_done: bool) {
        let Some((number, count, compete)) = branch(self.task(fork), task) else { return };
        let Some(Doing::Branches(outputs)) = self.run.scopes.get_mut(&fork).map(|scope| &mut scope.doing)
        else {
            return;
        };
        outputs.insert(number, output.clone());
        let all = (outputs.len() == count).then(|| outputs.values().cloned().collect::<Value>());
        let output = match (compete, is_done, all) {
            (true, true, _) | (true, false, Some(_)) => output,
            (false, _, Some(all)) => all,
            (_, _, None) => return,
        };
        self.unwind(fork);
        if compete {
            self.lose(fork, task);
        }
        self.finish(fork, output);
    }

    fn directed(&mut self, task: &'a Task, scope: u32, output: Value, then: Then) {
        match then {
            Then::Continue => self.next(Todo::Follow { scope, after: Some(task), given: output }),
            Then::End if self.run.ending.is_none() => self.next(Todo::Finish(output)),
            Then::Exit | Then::End => self.done(scope, output),
            Then::Task(name) => match self.list(scope).iter().find(|task| task.name == name) {
                Some(task) => self.next(Todo::Enter { task, parent: scope, given: output }),
                None => {
                    let why = format!("'then' names '{name}', and no task of the list is called so");
                    let error = Error::new(Kind::Configuration, task.at.as_str(), why);
                    self.next(Todo::Fail(Failing::new(scope, error)));
                }
            },
        }
    }

    /// Begins the task that follows in a scope's list. Those that undo others are not on the way.
    pub(super) fn follow(&mut self, scope: u32, after: Option<&Task>, given: Value) {
        let list = self.list(scope);
        let start =
            after.and_then(|after| list.iter().position(|task| task.at == after.at)).map_or(0, |at| at + 1);
        match list.iter().skip(start).find(|task| !task.compensates) {
            Some(task) => self.next(Todo::Enter { task, parent: scope, given }),
            None => self.done(scope, given),
        }
    }

    /// The tasks of a scope's list are done.
    fn done(&mut self, scope: u32, output: Value) {
        let Some(doing) = self.run.scopes.get(&scope).map(|scope| &scope.doing) else { return };
        match doing {
            Doing::Items { number, .. } => {
                let number = number + 1;
                self.next(Todo::Item { scope, number, given: output });
            }
            Doing::Trying(tries) => {
                self.commands.extend(tries.timer.map(|timer| Command::TimerOff { timer }));
                self.finish(scope, output);
            }
            _ => self.finish(scope, output),
        }
    }

    /// A scope has done its work, and gave this.
    pub(super) fn finish(&mut self, scope: u32, output: Value) {
        self.set(scope, Doing::Tasks);
        self.next(Todo::Leave { scope, output, then: None });
    }

    /// Begins the next round of a `for`, or ends it.
    pub(super) fn item(
        &mut self,
        scope: u32,
        number: usize,
        given: Value,
        answers: &mut Answers,
    ) -> Result<(), Box<Needed<'a>>> {
        let Some((each, item)) = self.round(scope, number) else {
            self.finish(scope, given);
            return Ok(());
        };
        let variables = [(each.each.as_str(), item), (each.at.as_str(), number.into())];
        let place = Place::of(self, scope).with(&variables);
        match place.holds(each.condition.as_ref(), &given, answers) {
            Err(Stop::Need(needed)) => return Err(Needed::by(Todo::Item { scope, number, given }, needed)),
            Err(Stop::Fault(error)) => {
                self.at_item(scope, number);
                let output = Some(given);
                self.next(Todo::Fail(Failing { output, ..Failing::new(scope, error) }));
            }
            Ok(false) => self.finish(scope, given),
            Ok(true) => {
                self.at_item(scope, number);
                let named = variables.map(|(name, value)| (name.to_owned(), value));
                if let Some(scope) = self.run.scopes.get_mut(&scope) {
                    scope.variables.extend(named);
                }
                self.next(Todo::Follow { scope, after: None, given });
            }
        }
        Ok(())
    }

    fn at_item(&mut self, scope: u32, number: usize) {
        if let Some(Doing::Items { number: at, .. }) =
            self.run.scopes.get_mut(&scope).map(|scope| &mut scope.doing)
        {
            *at = number;
        }
    }

    /// A `for` and its item with a number, if there is one.
    fn round(&self, scope: u32, number: usize) -> Option<(&'a For, Value)> {
        let Action::For(each) = &self.task(scope)?.action else { return None };
        let Doing::Items { items, .. } = &self.run.scopes.get(&scope)?.doing else { return None };
        Some((each, items.get(number)?.clone()))
    }

    /// The list whose tasks a scope does one after another now.
    pub(super) fn list(&self, scope: u32) -> &'a [Task] {
        let doing = self.run.scopes.get(&scope).map(|scope| &scope.doing);
        match (self.task(scope).map(|task| &task.action), doing) {
            (_, None | Some(Doing::Undoing | Doing::Branches(_))) => &[],
            (None, _) => &self.definition.tasks,
            (Some(Action::Do(tasks)), _) => tasks,
            (Some(Action::For(each)), _) => &each.tasks,
            (Some(Action::Try(attempt)), Some(Doing::Catching)) => {
                attempt.catch.tasks.as_deref().unwrap_or_default()
            }
            (Some(Action::Try(attempt)), _) => &attempt.tasks,
            _ => &[],
        }
    }
}

/// What is made of an output, if anything.
fn made(
    output: &Output,
    place: &Place<'_>,
    raw: &Value,
    answers: &mut Answers,
) -> Result<Option<Value>, Stop> {
    let made = output.form.as_ref().map(|form| place.fill(form, raw, answers)).transpose()?;
    if let Some(schema) = &output.schema {
        place.matches(schema, made.as_ref().unwrap_or(raw), "its output")?;
    }
    Ok(made)
}

/// The number of a branch, how many there are, and whether they compete.
fn branch(fork: Option<&Task>, branch: &Task) -> Option<(usize, usize, bool)> {
    let Action::Fork(fork) = &fork?.action else { return None };
    let number = fork.begun().position(|one| one.at == branch.at)?;
    Some((number, fork.begun().count(), fork.compete))
}
