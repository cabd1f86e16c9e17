//! How what is under way is broken off, and what is done is undone.

use serde_json::{Value, json};

use super::super::command::{Command, Note};
use super::super::run::{Doing, Ending, Left, ROOT, Status, Tries, Undo};
use super::super::task::{Task, TaskRef};
use super::{Machine, Todo};

impl<'a> Machine<'a> {
    /// Breaks off everything, undoes what is done, and ends so.
    pub(super) fn end(&mut self, ending: Ending) {
        self.unwind(ROOT);
        self.let_go(ROOT);
        self.todos.clear();
        self.undo_all(ending);
    }

    /// Undoes what is noted, and ends so.
    pub(super) fn undo_all(&mut self, ending: Ending) {
        self.run.ending = Some(ending);
        self.set(ROOT, Doing::Undoing);
        self.next(Todo::Undo);
    }

    /// Undoes the latest of what is done; ends the run if there is nothing left. Commands of which is not known whether they were carried out are
    /// waited for first, since they may have to be undone too.
    pub(super) fn undo(&mut self) {
        let Some(ending) = self.run.ending.clone() else { return };
        let is_completed = matches!(ending, Ending::Completed(_));
        let awaited = self.run.left.iter().any(|left| left.undo.is_some() || !is_completed);
        if awaited || self.run.scopes.len() > 1 {
            return;
        }
        match self.run.undo.pop() {
            Some(undo) => self.undo_one(undo),
            None => self.over(ending),
        }
    }

    /// Begins the task that undoes another. It sees the variables that the other saw.
    fn undo_one(&mut self, undo: Undo) {
        let Some(task) = self.undoing(&undo.task) else { return self.next(Todo::Undo) };
        if let Some(root) = self.run.scopes.get_mut(&ROOT) {
            root.variables = undo.variables;
        }
        let given = json!({"input": undo.input, "output": undo.output});
        self.next(Todo::Enter { task, parent: ROOT, given });
    }

    /// Nothing follows any more.
    pub(super) fn over(&mut self, ending: Ending) {
        self.run.status = match ending {
            Ending::Completed(output) => {
                self.run.ending = None;
                self.run.output = Some(output);
                Status::Completed
            }
            Ending::Cancelled => Status::Cancelled,
            Ending::Failed(_) => Status::Faulted,
        };
        self.run.scopes.clear();
        self.commands.push(Command::Ended);
    }

    /// Breaks off all tasks in a scope.
    pub(super) fn unwind(&mut self, scope: u32) {
        for number in self.within(scope) {
            self.break_off(number);
        }
    }

    fn within(&self, scope: u32) -> Vec<u32> {
        let scopes = self.run.scopes.iter();
        scopes.filter(|(_, inner)| inner.parent == Some(scope)).map(|(number, _)| *number).collect()
    }

    /// Breaks off a task with all in it. If it was done and only what was to be made of its output failed, it has to be undone like others.
    pub(super) fn break_off(&mut self, number: u32) {
        self.unwind(number);
        self.let_go(number);
        let undo = self.undo_of(number);
        let Some(scope) = self.run.scopes.remove(&number) else { return };
        match scope.doing {
            Doing::Failed { output: Some(output), round: None, .. } => {
                self.run.undo.extend(undo.map(|undo| Undo { output, ..undo }));
            }
            Doing::Failed { .. } => {}
            _ => self.note(&scope.task, Note::BrokenOff),
        }
    }

    /// Waits no longer for what a scope waits for.
    pub(super) fn let_go(&mut self, number: u32) {
        let undo = self.undo_of(number);
        let Some(scope) = self.run.scopes.get_mut(&number) else { return };
        let task = scope.task.clone();
        let timers = [scope.timeout.take(), timer_of(&scope.doing)];
        self.commands.extend(timers.into_iter().flatten().map(|timer| Command::TimerOff { timer }));
        match scope.doing {
            Doing::Calling(attempt) => {
                let undo = undo.map(|undo| Undo { unwanted: true, ..undo });
                self.run.left.push(Left { task: task.clone(), attempt, undo });
                self.commands.push(Command::TakeBack { task, attempt });
            }
            Doing::Listening { attempt, .. } => self.commands.push(Command::ListenOff { task, attempt }),
            _ => {}
        }
    }

    /// A command that nobody waits for any more was carried out after all, or was not.
    pub(super) fn settle(&mut self, left: Left, output: Option<Value>) {
        if let (Some(undo), Some(output)) = (left.undo, output) {
            self.run.undo.push(Undo { output, ..undo });
        }
        if self.run.ending.is_some() {
            self.next(Todo::Undo);
        }
    }

    /// What is to be undone of a scope that is done, but for its output; nothing if no task undoes it, or if it undoes another itself.
    pub(super) fn undo_of(&self, number: u32) -> Option<Undo> {
        let scope = self.run.scopes.get(&number)?;
        self.task(number)?.compensate.as_ref().filter(|_| self.run.ending.is_none())?;
        Some(Undo {
            task: scope.task.clone(),
            scope: number,
            input: scope.input.clone(),
            output: Value::Null,
            variables: self.variables(number),
            unwanted: false,
        })
    }

    /// What was done in the branches of a fork beside the one that won is wanted no more.
    pub(super) fn lose(&mut self, fork: u32, won: &Task) {
        let place = self.place(fork);
        for undo in &mut self.run.undo {
            let is_inside = undo.scope > fork && undo.task.is_at_or_within(&place);
            undo.unwanted |= is_inside && !undo.task.is_at_or_within(&won.at);
        }
    }

    /// The task that undoes another.
    fn undoing(&self, at: &TaskRef) -> Option<&'a Task> {
        let name = self.definition.task(at)?.compensate.as_ref()?;
        let lists = self.definition.all().into_iter().flat_map(Task::lists);
        let mut lists = std::iter::once(self.definition.tasks.as_slice()).chain(lists);
        let siblings = lists.find(|list| list.iter().any(|one| one.at == *at))?;
        siblings.iter().find(|one| one.name == *name)
    }
}

fn timer_of(doing: &Doing) -> Option<u64> {
    match doing {
        Doing::Waiting(timer) | Doing::Pausing { timer, .. } => Some(*timer),
        Doing::Trying(Tries { timer, .. }) => *timer,
        _ => None,
    }
}
