//! What mediated orders have to come to, and what differs from it. It reads events and runs, and asks no host.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The queues of the processors that the workflow calls.
pub const QUEUES: [&str; 7] = [
    "baton.queue.order-placement",
    "baton.queue.payment",
    "baton.queue.inventory",
    "baton.queue.warehouse",
    "baton.queue.order-fulfillment",
    "baton.queue.shipping",
    "baton.queue.notification",
];
/// Where the mediator hears of them.
pub const INBOX: &str = "baton.inbox.place-order";

/// A command: run, step and attempt.
type Command = (String, String, String);

/// What was seen.
#[derive(Default)]
pub struct Ledger {
    commands: BTreeMap<Command, u64>,
    acknowledged: BTreeMap<Command, u64>,
    /// The commands that were carried out.
    done: BTreeSet<Command>,
    /// Runs whose reservation was made, and those whose reservation was undone.
    reserved: BTreeSet<String>,
    undone: BTreeSet<String>,
    /// Of each run that is over, its end.
    ends: BTreeMap<String, String>,
    /// Runs whose payment was denied.
    denied: BTreeSet<String>,
    runs: u64,
}

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Steps that were carried out: no wrong.
    pub steps: u64,
    /// Orders for which there is no run.
    pub lost: u64,
    /// Runs that are not over, or ended in another way than their payment says.
    pub ends: u64,
    /// Commands that are there more than once.
    pub commands_doubled: u64,
    /// Acknowledgements too many.
    pub acknowledged_twice: u64,
    /// Commands without an acknowledgement.
    pub unacknowledged: u64,
    /// Steps that were begun more than once, of those that need not go round: none of the orders waits for another card.
    pub again: u64,
    /// Reservations of denied orders that were not undone, and of others that were.
    pub undone: u64,
}

fn command_of(event: &Value) -> Option<Command> {
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    Some((text("batonrun")?, text("batonstep")?, text("batonattempt")?))
}

/// Whether a step is begun once more; filling the stock goes round until there is enough.
fn is_again((_, step, attempt): &Command) -> bool {
    attempt != "1" && !step.contains("/refill/")
}

impl Ledger {
    /// Takes a command in.
    pub fn command(&mut self, queue: &str, event: &Value) {
        let Some(command) = command_of(event) else { return };
        if queue == "baton.queue.inventory" && event["type"] == "payment-denied" {
            self.undone.insert(command.0.clone());
        }
        *self.commands.entry(command).or_default() += 1;
    }

    /// Takes a message of the inbox in.
    pub fn acknowledgement(&mut self, event: &Value) {
        let ty = event["type"].as_str().unwrap_or_default();
        let Some(command) = command_of(event) else { return };
        if !["baton.acknowledged", "baton.failed", "baton.taken-back"].contains(&ty) {
            return;
        }
        *self.acknowledged.entry(command.clone()).or_default() += 1;
        let outcome = &event["data"]["run"]["acknowledged"]["outcome"]["done"];
        if outcome.is_null() {
            return;
        }
        if command.1.ends_with("/reserve") {
            self.reserved.insert(command.0.clone());
        }
        if outcome["events"][0]["type"] == "payment-denied" {
            self.denied.insert(command.0.clone());
        }
        self.done.insert(command);
    }

    /// Takes a run in.
    pub fn run(&mut self, run: &Value) {
        self.runs += 1;
        if let (Some(id), Some(status), true) =
            (run["id"].as_str(), run["status"].as_str(), run["over"] == true)
        {
            self.ends.insert(id.to_owned(), status.to_owned());
        }
    }

    /// Holds what was seen against the orders that were acknowledged.
    pub fn balance(&self, acknowledged: u64) -> Wrongs {
        let more = |counts: &BTreeMap<Command, u64>| counts.values().map(|count| count - 1).sum();
        let legal = |(run, end): &(&String, &String)| match self.denied.contains(*run) {
            true => *end == "faulted",
            false => *end == "completed",
        };
        let right = self.ends.iter().filter(legal).count() as u64;
        let wants_undo = |run: &&String| self.denied.contains(*run);
        let to_undo: BTreeSet<&String> = self.reserved.iter().filter(wants_undo).collect();
        let undone: BTreeSet<&String> = self.undone.iter().collect();
        let denied = self.denied.len() as u64;
        Wrongs {
            steps: self.done.len() as u64,
            lost: acknowledged.saturating_sub(self.runs),
            ends: self.runs - right + denied.abs_diff(acknowledged / 5),
            commands_doubled: more(&self.commands),
            acknowledged_twice: more(&self.acknowledged),
            unacknowledged: self.commands.keys().filter(|one| !self.acknowledged.contains_key(*one)).count()
                as u64,
            again: self.commands.keys().filter(|one| is_again(one)).count() as u64,
            undone: to_undo.symmetric_difference(&undone).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Five orders, of which one is denied: commands, acknowledgements, runs.
    fn seen() -> (Vec<Value>, Vec<Value>, Vec<Value>) {
        let (mut commands, mut acknowledgements, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=5 {
            let denied = number == 5;
            let run = format!("place-order-{number}");
            let mut step = |step: &str, ty: &str, gives: &str| {
                let marks = json!({"batonrun": run, "batonstep": step, "batonattempt": "1"});
                let mut command = marks.clone();
                command["type"] = json!(ty);
                let mut acknowledgement = marks;
                acknowledgement["type"] = json!("baton.acknowledged");
                let done = json!({"events": [{"type": gives}]});
                acknowledgement["data"] = json!({"run": {"acknowledged": {"outcome": {"done": done}}}});
                commands.push(command);
                acknowledgements.push(acknowledgement);
            };
            step("/do/reserve", "order-created", "inventory-updated");
            step("/do/pay", "order-created", if denied { "payment-denied" } else { "payment-applied" });
            if denied {
                step("/do/restock", "payment-denied", "inventory-updated");
            }
            runs.push(
                json!({"id": run, "over": true, "status": if denied { "faulted" } else { "completed" }}),
            );
        }
        (commands, acknowledgements, runs)
    }

    fn balance(commands: &[Value], acknowledgements: &[Value], runs: &[Value]) -> Wrongs {
        let mut ledger = Ledger::default();
        commands.iter().for_each(|event| ledger.command("baton.queue.inventory", event));
        acknowledgements.iter().for_each(|event| ledger.acknowledgement(event));
        runs.iter().for_each(|run| ledger.run(run));
        Wrongs { steps: 0, ..ledger.balance(5) }
    }

    #[test]
    fn what_went_well_adds_up_and_whatever_is_missing_or_too_much_is_found() {
        let (commands, acknowledgements, runs) = seen();
        assert_eq!(balance(&commands, &acknowledgements, &runs), Wrongs::default());
        for at in 0..commands.len() {
            let mut more = commands.clone();
            more.push(commands[at].clone());
            assert_eq!(balance(&more, &acknowledgements, &runs).commands_doubled, 1);
            let mut fewer = acknowledgements.clone();
            fewer.remove(at);
            assert_ne!(balance(&commands, &fewer, &runs), Wrongs::default(), "{:?}", commands[at]);
        }
        assert_ne!(balance(&commands, &acknowledgements, &runs[1..]), Wrongs::default());
        let without_undo: Vec<Value> =
            commands.iter().filter(|command| command["type"] != "payment-denied").cloned().collect();
        assert_eq!(balance(&without_undo, &acknowledgements, &runs).undone, 1);
    }
}
