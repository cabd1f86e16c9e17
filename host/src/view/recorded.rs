//! A recorded event as everyone outside sees it: the one place where frames become CloudEvents again.

use crate::model::event::Extension;
use crate::model::record::Record;
use crate::model::report::Recorded;
use crate::model::time::rfc3339;

/// Renders the event that stands at an offset and a position, with the host's `sequence` and `recordedtime`.
pub fn recorded(offset: u64, position: u64, time_ms: u64, record: &Record<'_>) -> Recorded {
    let recorded = rfc3339(time_ms);
    let mut event = record.to_event();
    for (name, value) in [("sequence", offset.to_string()), ("recordedtime", recorded.clone())] {
        event.extensions.insert(name.to_owned(), Extension::Text(value));
    }
    Recorded { offset, position, recorded, event: event.to_json() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::record::{Stamp, encode_event};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn an_event_goes_out_with_what_the_host_knows_of_it() {
        let event = Event {
            id: "1".into(),
            source: "/shop".into(),
            ty: "order-created".into(),
            datacontenttype: Some("application/json".into()),
            data: Some("{\"sku\":\"b-1\"}".into()),
            ..Event::default()
        };
        let stamp = Stamp { flow: Uuid::from_u128(7), cause: Some(3), causationid: Some("0"), hops: 1 };
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event, &stamp);
        let recorded = recorded(5, 9, 1_700_000_000_123, &Record::parse(&bytes).unwrap());
        assert_eq!((recorded.offset, recorded.position), (5, 9));
        assert_eq!(recorded.recorded, "2023-11-14T22:13:20.123Z");
        let expected = json!({
            "specversion": "1.0", "id": "1", "source": "/shop", "type": "order-created",
            "datacontenttype": "application/json", "data": {"sku": "b-1"},
            "correlationid": "00000000-0000-0000-0000-000000000007", "causationid": "0",
            "sequence": "5", "recordedtime": "2023-11-14T22:13:20.123Z",
        });
        assert_eq!(recorded.event, expected);
    }
}
