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

/// The extension by which a command names the definition that its run is on.
pub const DEFINITION: &str = "definition";

/// A command: run, step and attempt.
type Command = (String, String, String);

/// What was seen.
#[derive(Default)]
pub struct Ledger {
    commands: BTreeMap<Command, u64>,
    acknowledged: BTreeMap<Command, u64>,
    /// The commands that were carried out.
    done: BTreeSet<Command>,
    /// Runs whose reservation was made, those of them for which there are too few copies, and those whose reservation was undone.
    reserved: BTreeSet<String>,
    short: BTreeSet<String>,
    undone: BTreeSet<String>,
    /// Of each run that is over, its end.
    ends: BTreeMap<String, String>,
    /// Runs whose payment was denied, those that paid, and those that were given their money back.
    denied: BTreeSet<String>,
    paid: BTreeSet<String>,
    refunded: BTreeSet<String>,
    runs: u64,
    /// The definitions that each run's commands name.
    definitions: BTreeMap<String, BTreeSet<String>>,
}

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Steps that were carried out: no wrong.
    pub steps: u64,
    /// Definitions that runs are on: no wrong.
    pub definitions: u64,
    /// Runs that went on with another definition than the one they began with.
    pub turned: u64,
    /// Orders for which there is no run.
    pub lost: u64,
    /// Runs that are not over, or ended in another way than their payment and the stock say.
    pub ends: u64,
    /// Commands that are there more than once.
    pub commands_doubled: u64,
    /// Acknowledgements too many.
    pub acknowledged_twice: u64,
    /// Commands without an acknowledgement.
    pub unacknowledged: u64,
    /// Steps that were begun more than once, of those that need not go round: none of the orders waits for another card.
    pub again: u64,
    /// Runs that failed because there were too few copies: no wrong.
    pub short: u64,
    /// Reservations of orders that failed which were not undone, and of others that were.
    pub undone: u64,
    /// Payments of orders that failed which were not given back, and others that were.
    pub refunds: u64,
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
        if queue == "baton.queue.payment" && event["type"] == "refund-wanted" {
            self.refunded.insert(command.0.clone());
        }
        if let Some(definition) = event[DEFINITION].as_str() {
            self.definitions.entry(command.0.clone()).or_default().insert(definition.to_owned());
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
            if outcome["events"][0]["data"]["available"].as_i64().is_some_and(|available| available < 0) {
                self.short.insert(command.0.clone());
            }
        }
        match outcome["events"][0]["type"].as_str() {
            Some("payment-denied") => self.denied.insert(command.0.clone()),
            Some("payment-applied") => self.paid.insert(command.0.clone()),
            _ => false,
        };
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
        let has_failed = |run: &&String| self.denied.contains(*run) || self.short.contains(*run);
        let legal = |(run, end): &(&String, &String)| match has_failed(run) {
            true => *end == "faulted",
            false => *end == "completed",
        };
        let right = self.ends.iter().filter(legal).count() as u64;
        let to_undo: BTreeSet<&String> = self.reserved.iter().filter(has_failed).collect();
        let undone: BTreeSet<&String> = self.undone.iter().collect();
        let to_refund: BTreeSet<&String> = self.paid.iter().filter(has_failed).collect();
        let refunded: BTreeSet<&String> = self.refunded.iter().collect();
        let denied = self.denied.len() as u64;
        let all: BTreeSet<&String> = self.definitions.values().flatten().collect();
        Wrongs {
            definitions: all.len() as u64,
            turned: self.definitions.values().filter(|of_run| of_run.len() > 1).count() as u64,
            steps: self.done.len() as u64,
            lost: acknowledged.saturating_sub(self.runs),
            ends: self.runs - right + denied.abs_diff(acknowledged / 5),
            commands_doubled: more(&self.commands),
            acknowledged_twice: more(&self.acknowledged),
            unacknowledged: self.commands.keys().filter(|one| !self.acknowledged.contains_key(*one)).count()
                as u64,
            again: self.commands.keys().filter(|one| is_again(one)).count() as u64,
            short: self.short.difference(&self.denied).count() as u64,
            undone: to_undo.symmetric_difference(&undone).count() as u64,
            refunds: to_refund.symmetric_difference(&refunded).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A command with its queue.
    type Sent = (&'static str, Value);

    /// Five orders, of which one is denied and one finds too few copies: commands, acknowledgements, runs.
    fn seen() -> (Vec<Sent>, Vec<Value>, Vec<Value>) {
        let (mut commands, mut acknowledgements, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=5 {
            let (denied, short) = (number == 5, number == 4);
            let run = format!("place-order-{number}");
            let mut step = |queue: &'static str, step: &str, ty: &str, gives: Value| {
                let marks =
                    json!({"batonrun": run, "batonstep": step, "batonattempt": "1", "definition": "1"});
                let mut command = marks.clone();
                command["type"] = json!(ty);
                let mut acknowledgement = marks;
                acknowledgement["type"] = json!("baton.acknowledged");
                let done = json!({"events": [gives]});
                acknowledgement["data"] = json!({"run": {"acknowledged": {"outcome": {"done": done}}}});
                commands.push((queue, command));
                acknowledgements.push(acknowledgement);
            };
            let (inventory, payment) = ("baton.queue.inventory", "baton.queue.payment");
            let updated =
                |available: i64| json!({"type": "inventory-updated", "data": {"available": available}});
            step(inventory, "/do/reserve", "order-created", updated(if short { -1 } else { 1 }));
            let answer = if denied { "payment-denied" } else { "payment-applied" };
            step(payment, "/do/pay", "order-created", json!({"type": answer}));
            if short {
                step(payment, "/do/pay-back", "refund-wanted", json!({"type": "payment-refunded"}));
            }
            if denied || short {
                step(inventory, "/do/restock", "payment-denied", updated(1));
            }
            let status = if denied || short { "faulted" } else { "completed" };
            runs.push(json!({"id": run, "over": true, "status": status}));
        }
        (commands, acknowledgements, runs)
    }

    fn balance(commands: &[Sent], acknowledgements: &[Value], runs: &[Value]) -> Wrongs {
        let mut ledger = Ledger::default();
        commands.iter().for_each(|(queue, event)| ledger.command(queue, event));
        acknowledgements.iter().for_each(|event| ledger.acknowledgement(event));
        runs.iter().for_each(|run| ledger.run(run));
        Wrongs { steps: 0, ..ledger.balance(5) }
    }

    #[test]
    fn what_went_well_adds_up_and_whatever_is_missing_or_too_much_is_found() {
        let (commands, acknowledgements, runs) = seen();
        let right = Wrongs { short: 1, definitions: 1, ..Wrongs::default() };
        assert_eq!(balance(&commands, &acknowledgements, &runs), right);
        for at in 0..commands.len() {
            let mut more = commands.clone();
            more.push(commands[at].clone());
            assert_eq!(balance(&more, &acknowledgements, &runs).commands_doubled, 1);
            let mut fewer = acknowledgements.clone();
            fewer.remove(at);
            assert_ne!(balance(&commands, &fewer, &runs), right, "{:?}", commands[at]);
        }
        assert_ne!(balance(&commands, &acknowledgements, &runs[1..]), right);
        let without = |ty: &str| {
            let left: Vec<Sent> = commands.iter().filter(|(_, one)| one["type"] != ty).cloned().collect();
            balance(&left, &acknowledgements, &runs)
        };
        assert_eq!(without("payment-denied").undone, 2);
        assert_eq!(without("refund-wanted").refunds, 1);
        let mut turned = commands.clone();
        turned[0].1[DEFINITION] = json!("2");
        let turned = balance(&turned, &acknowledgements, &runs);
        assert_eq!((turned.turned, turned.definitions), (1, 2));
    }
}
