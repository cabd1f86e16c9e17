//! What follows an error: the nearest `try` that catches it, or the run stays where it failed.

use serde_json::{Value, json};

use super::super::command::{Command, Note};
use super::super::expression::Expression;
use super::super::failure::{Catch, Error, Retry};
use super::super::run::{Doing, Ending, Tries};
use super::super::task::{Action, Try};
use super::values::{Answers, Place};
use super::{Evaluation, Failing, Machine, Needed, Stop, Todo};

/// A `try` that catches an error.
struct Catcher<'a> {
    scope: u32,
    attempt: &'a Try,
    follows: Follows,
}

/// What follows a caught error.
enum Follows {
    Again(Tries, u64),
    Tasks,
    Nothing,
}

impl<'a> Machine<'a> {
    pub(super) fn fail(&mut self, failing: Failing, answers: &mut Answers) -> Result<(), Box<Needed<'a>>> {
        match self.catcher(&failing, answers) {
            Err(needed) => return Err(Needed::by(Todo::Fail(failing), needed)),
            Ok(Some(catcher)) => self.caught(catcher, failing),
            Ok(None) => self.uncaught(failing),
        }
        Ok(())
    }

    /// The nearest `try` round what failed that catches the error.
    fn catcher(&self, failing: &Failing, answers: &mut Answers) -> Result<Option<Catcher<'a>>, Evaluation> {
        let mut at = if failing.within { Some(failing.scope) } else { self.parent(failing.scope) };
        while let Some(scope) = at {
            if let Some(catcher) = self.catches(scope, &failing.error, answers)? {
                return Ok(Some(catcher));
            }
            at = self.parent(scope);
        }
        Ok(None)
    }

    fn parent(&self, scope: u32) -> Option<u32> {
        self.run.scopes.get(&scope)?.parent
    }

    /// Whether a scope is a `try` whose tasks are at work and that catches the error. What fails in `catch` itself is for those round it.
    fn catches(
        &self,
        scope: u32,
        error: &Error,
        answers: &mut Answers,
    ) -> Result<Option<Catcher<'a>>, Evaluation> {
        let Some(Action::Try(attempt)) = self.task(scope).map(|task| &task.action) else { return Ok(None) };
        let Some(Doing::Trying(tries)) = self.run.scopes.get(&scope).map(|scope| scope.doing.clone()) else {
            return Ok(None);
        };
        let catch = &attempt.catch;
        let told = json!(error);
        let variables = [(catch.variable.as_str(), told.clone())];
        let place = Place::of(self, scope).with(&variables);
        if !has(catch, &told) || !self.agree(&place, scope, (&catch.when, &catch.except_when), answers)? {
            return Ok(None);
        }
        let again = match &catch.retry {
            Some(retry) if self.agree(&place, scope, (&retry.when, &retry.except_when), answers)? => {
                self.again(retry, tries)
            }
            _ => None,
        };
        let follows = match (again, &catch.tasks, &catch.retry) {
            (Some((tries, delay_ms)), _, _) => Follows::Again(tries, delay_ms),
            (None, Some(_), _) => Follows::Tasks,
            (None, None, None) => Follows::Nothing,
            (None, None, Some(_)) => return Ok(None),
        };
        Ok(Some(Catcher { scope, attempt, follows }))
    }

    /// Whether `when` holds and `exceptWhen` does not. A condition that fails does not hold.
    fn agree(
        &self,
        place: &Place<'_>,
        scope: u32,
        conditions: Conditions<'_>,
        answers: &mut Answers,
    ) -> Result<bool, Evaluation> {
        let on = self.run.scopes.get(&scope).map(|scope| scope.input.clone()).unwrap_or_default();
        let mut holds = |condition: &Option<_>, otherwise| match condition {
            None => Ok(otherwise),
            condition => match place.holds(condition.as_ref(), &on, answers) {
                Ok(holds) => Ok(holds),
                Err(Stop::Fault(_)) => Ok(false),
                Err(Stop::Need(needed)) => Err(needed),
            },
        };
        let (when, except_when) = conditions;
        Ok(holds(when, true)? && !holds(except_when, false)?)
    }

    fn again(&self, retry: &Retry, tries: Tries) -> Option<(Tries, u64)> {
        let number = tries.retries.saturating_add(1);
        let elapsed_ms = self.at_ms.saturating_sub(tries.since_ms);
        let delay_ms = retry.delay_before(number, elapsed_ms, self.chance)?;
        Some((Tries { retries: number, timer: None, ..tries }, delay_ms))
    }

    fn caught(&mut self, catcher: Catcher<'a>, failing: Failing) {
        let Catcher { scope, attempt, follows } = catcher;
        let Some(task) = self.task(scope) else { return };
        let Failing { scope: failed, error, output, .. } = failing;
        self.note(&self.place(failed), Note::Failed(error.clone()));
        if failed != scope {
            self.stay(failed, error.clone(), output);
        }
        self.unwind(scope);
        if let Some(Doing::Trying(Tries { timer: Some(timer), .. })) =
            self.run.scopes.get(&scope).map(|scope| &scope.doing)
        {
            self.commands.push(Command::TimerOff { timer: *timer });
        }
        match follows {
            Follows::Again(tries, delay_ms) => {
                self.note(&task.at, Note::Again(delay_ms));
                let timer = self.timer(delay_ms, &task.at);
                self.set(scope, Doing::Pausing { tries, timer });
            }
            Follows::Tasks => {
                self.note(&task.at, Note::Caught(error.clone()));
                let given = self.catching(scope, attempt, error);
                self.next(Todo::Follow { scope, after: None, given });
            }
            Follows::Nothing => {
                self.note(&task.at, Note::Caught(error.clone()));
                let output = self.catching(scope, attempt, error);
                self.next(Todo::Leave { scope, output, then: None });
            }
        }
    }

    /// A `try` goes over to its `catch`, which is given what the `try` was.
    fn catching(&mut self, scope: u32, attempt: &Try, error: Error) -> Value {
        let Some(scope) = self.run.scopes.get_mut(&scope) else { return Value::Null };
        scope.variables.insert(attempt.catch.variable.clone(), json!(error));
        scope.doing = Doing::Catching;
        scope.input.clone()
    }

    /// Nobody catches it: the definition gave up, or the scope stays where it failed.
    fn uncaught(&mut self, failing: Failing) {
        let Failing { scope, error, output, raised, .. } = failing;
        self.note(&self.place(scope), Note::Failed(error.clone()));
        self.stay(scope, error.clone(), output);
        if raised && self.run.ending.is_none() {
            self.end(Ending::Failed(error));
        }
    }

    /// A scope is at what failed, and at nothing else.
    fn stay(&mut self, scope: u32, error: Error, output: Option<Value>) {
        self.unwind(scope);
        self.let_go(scope);
        let Some(scope) = self.run.scopes.get_mut(&scope) else { return };
        let round = match &scope.doing {
            Doing::Items { items, number } if output.is_some() => Some((items.clone(), *number)),
            _ => None,
        };
        scope.doing = Doing::Failed { error, output, round };
    }
}

/// `when` and `exceptWhen`.
type Conditions<'c> = (&'c Option<Expression>, &'c Option<Expression>);

/// Whether an error has all fields that are asked for.
fn has(catch: &Catch, error: &Value) -> bool {
    catch.with.iter().all(|(name, value)| error.get(name) == Some(value))
}
