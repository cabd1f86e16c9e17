//! How a flow stands: open, done, stuck or overdue, and why. Pure: it decides on what it is given.

use crate::model::flow::FlowRule;
use crate::model::report::FlowStatus;

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// An event of it is still to be decided by somebody.
    pub left: bool,
    /// An event of it holds its key after a fault until somebody looks, or is a dead letter.
    pub held: bool,
    /// It has an event of an ending type.
    pub ended: bool,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// When this is asked.
    pub now_ms: u64,
}

/// How a flow stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In a word.
    pub status: FlowStatus,
    /// It is past its deadline and not done, whatever else it is.
    pub overdue: bool,
    /// By when it is to be done, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
    /// Why it is not done although nothing of it is left to do.
    pub reason: Option<String>,
}

/// Decides how a flow stands under the rule of its channel.
pub fn standing(rule: Option<&FlowRule>, facts: Facts) -> Standing {
    let ends = rule.map(|rule| rule.ends.as_slice()).unwrap_or_default();
    let unended = !ends.is_empty() && !facts.ended;
    let done = !facts.left && !unended;
    let deadline_ms =
        rule.and_then(|rule| rule.deadline_ms).map(|deadline| facts.started_ms.saturating_add(deadline));
    let overdue = !done && deadline_ms.is_some_and(|deadline| facts.now_ms >= deadline);
    let status = match (done, facts.held, overdue) {
        (true, ..) => FlowStatus::Done,
        (_, true, _) => FlowStatus::Stuck,
        (_, _, true) => FlowStatus::Overdue,
        _ => FlowStatus::Open,
    };
    let reason = (!facts.left && unended)
        .then(|| format!("nothing of it is left to do, and it ended without {}", ends.join(" or ")));
    Standing { status, overdue, deadline_ms, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> FlowRule {
        FlowRule { ends: vec!["shipped".into(), "denied".into()], deadline_ms: Some(50), tell: false }
    }

    fn facts(left: bool, held: bool, ended: bool, now_ms: u64) -> Facts {
        Facts { left, held, ended, started_ms: 100, now_ms }
    }

    #[test]
    fn without_a_rule_what_is_left_to_do_decides() {
        let cases = [
            (false, false, FlowStatus::Done),
            (true, false, FlowStatus::Open),
            (true, true, FlowStatus::Stuck),
        ];
        for (left, held, status) in cases {
            let standing = standing(None, facts(left, held, false, u64::MAX));
            assert_eq!((standing.status, standing.overdue, standing.deadline_ms), (status, false, None));
        }
    }

    #[test]
    fn a_quiet_flow_without_its_end_is_open_and_says_why() {
        let open = standing(Some(&rule()), facts(false, false, false, 149));
        assert_eq!((open.status, open.overdue), (FlowStatus::Open, false));
        assert!(open.reason.is_some_and(|reason| reason.ends_with("it ended without shipped or denied")));
        let done = standing(Some(&rule()), facts(false, false, true, 1_000));
        assert_eq!((done.status, done.overdue, done.reason), (FlowStatus::Done, false, None));
        let busy = standing(Some(&rule()), facts(true, false, true, 149));
        assert_eq!((busy.status, busy.reason), (FlowStatus::Open, None));
    }

    #[test]
    fn past_its_deadline_a_flow_is_overdue_and_a_stuck_one_stays_stuck() {
        let late = standing(Some(&rule()), facts(true, false, false, 150));
        assert_eq!((late.status, late.overdue, late.deadline_ms), (FlowStatus::Overdue, true, Some(150)));
        let stuck = standing(Some(&rule()), facts(true, true, false, 150));
        assert_eq!((stuck.status, stuck.overdue), (FlowStatus::Stuck, true));
    }
}
