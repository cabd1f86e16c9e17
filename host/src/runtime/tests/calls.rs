//! What a well-behaved guest gets and gives.

use super::support::{COPY, batch, instance};
use crate::runtime::Verdict;

#[test]
fn a_batch_goes_in_and_its_outcomes_come_out() {
    let (mut instance, _) = instance(COPY);
    for _ in 0..3 {
        let outcomes = instance.call(&batch(3, b"{\"order\":1}")).unwrap();
        assert_eq!(outcomes.len(), 3);
        for outcome in outcomes.iter() {
            let emits: Vec<_> = outcome.emits().map(|emit| (emit.channel(), emit.data())).collect();
            assert_eq!(outcome.verdict(), Verdict::Handled);
            assert_eq!(emits, [("orders", Some(b"{\"order\":1}".as_slice()))]);
        }
    }
    assert!(!instance.is_spent());
}
