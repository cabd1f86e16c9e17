//! How what is under way is broken off, and what is done is undone.

use serde_json::json;

use super::super::command::{Command, Note};
use super::super::run::{Doing, Ending, Left, ROOT, Scope, Status, Tries, Undo};
use super::super::task::{Task, TaskRef};
use super::{Machine, Todo};

impl<'a> Machine<'a> {
    /// Breaks off everything, undoes what is done, and ends so.
    pub(super) fn end(&mut self, ending: Ending) {
        self.unwind(ROOT);
        self.let_go(ROOT);
        self.todos.clear();
        self.run.ending = Some(ending);
        self.set(ROOT, Doing::Undoing);
        self.next(Todo::Undo);
    }

    /// Undoes the latest of what is done; ends the run if there is nothing left. Commands of which is not known whether they were carried out are
    /// waited for first, since they may have to be undone too.
    pub(super) fn undo(&mut self) {
        if !self.run.left.is_empty() || self.run.scopes.len() > 1 {
            return;
        }
        match (self.run.undo.pop(), self.run.ending.clone()) {
            (Some(undo), _) => match undoing(self.definition.task(&undo.task), self.siblings(&undo.task)) {
                Some(task) => {
                    let given = json!({"input": undo.input, "output": undo.output});
                    self.next(Todo::Enter { task, parent: ROOT, given });
                }
                None => self.next(Todo::Undo),
            },
            (None, Some(Ending::Cancelled)) => self.over(Status::Cancelled),
            (None, _) => self.over(Status::Faulted),
        }
    }

    /// Breaks off all tasks in a scope.
    pub(super) fn unwind(&mut self, scope: u32) {
        let inner: Vec<u32> = self.within(scope);
        for number in inner {
            self.unwind(number);
            self.let_go(number);
            if let Some(scope) = self.run.scopes.remove(&number) {
                self.note_broken_off(&scope);
            }
        }
    }

    fn note_broken_off(&mut self, scope: &Scope) {
        if !matches!(scope.doing, Doing::Failed { .. }) {
            self.note(&scope.task, Note::BrokenOff);
        }
    }

    fn within(&self, scope: u32) -> Vec<u32> {
        let scopes = self.run.scopes.iter();
        scopes.filter(|(_, inner)| inner.parent == Some(scope)).map(|(number, _)| *number).collect()
    }

    /// Waits no longer for what a scope waits for.
    pub(super) fn let_go(&mut self, scope: u32) {
        let Some(scope) = self.run.scopes.get_mut(&scope) else { return };
        let task = scope.task.clone();
        let timers = [scope.timeout.take(), timer_of(&scope.doing)];
        self.commands.extend(timers.into_iter().flatten().map(|timer| Command::TimerOff { timer }));
        match &scope.doing {
            Doing::Calling(attempt) => {
                let attempt = *attempt;
                self.run.left.push(Left { task: task.clone(), attempt, input: scope.input.clone() });
                self.commands.push(Command::TakeBack { task, attempt });
            }
            Doing::Listening { attempt, .. } => {
                let attempt = *attempt;
                self.commands.push(Command::ListenOff { task, attempt });
            }
            _ => {}
        }
    }

    /// A command that nobody waits for any more was carried out after all, or was not.
    pub(super) fn settle(&mut self, left: Left, output: Option<serde_json::Value>) {
        let undone_by = self.definition.task(&left.task).and_then(|task| task.compensate.as_ref());
        if let (Some(_), Some(output)) = (undone_by, output) {
            self.run.undo.push(Undo { task: left.task, input: left.input, output });
        }
        if matches!(self.run.scopes.get(&ROOT).map(|root| &root.doing), Some(Doing::Undoing)) {
            self.next(Todo::Undo);
        }
    }

    /// The list in which a task stands.
    fn siblings(&self, task: &TaskRef) -> &'a [Task] {
        let lists = self.definition.all().into_iter().flat_map(Task::lists);
        let mut lists = std::iter::once(self.definition.tasks.as_slice()).chain(lists);
        lists.find(|list| list.iter().any(|one| one.at == *task)).unwrap_or_default()
    }
}

/// The task that undoes another.
fn undoing<'a>(task: Option<&Task>, siblings: &'a [Task]) -> Option<&'a Task> {
    let name = task?.compensate.as_ref()?;
    siblings.iter().find(|one| one.name == *name)
}

fn timer_of(doing: &Doing) -> Option<u64> {
    match doing {
        Doing::Waiting(timer) | Doing::Pausing { timer, .. } => Some(*timer),
        Doing::Trying(Tries { timer, .. }) => *timer,
        _ => None,
    }
}
