//! One event on its way into the outcome. The host gives it its id, source and flow.

use serde::Serialize;

use crate::context::Context;
use crate::fault::{Fault, Handled, OrFault, Told};
use crate::wire::{AttributeRow, EmitRow, Span};

/// The attributes that the host alone sets, or that have a method of their own.
const NO_EXTENSIONS: [&str; 14] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "partitionkey",
    "datacontenttype",
    "data",
    "data_base64",
    "correlationid",
    "causationid",
    "sequence",
    "recordedtime",
    "traceparent",
];

/// An event to publish, begun by [`Context::emit`]. What is not set is inherited or derived by the host.
#[must_use = "nothing is published before `json`, `bytes` or `no_data`"]
pub struct Emit<'c, 'a> {
    cx: &'c mut Context<'a>,
    row: EmitRow,
    wrong: Option<Fault>,
}

impl<'c, 'a> Emit<'c, 'a> {
    pub(crate) fn new(cx: &'c mut Context<'a>, channel: &str) -> Self {
        let wrong = cx.descriptor.refuses(channel);
        let row = EmitRow {
            channel: cx.output.put(channel.as_bytes()),
            type_: Span::ABSENT,
            subject: Span::ABSENT,
            partition_key: Span::ABSENT,
            content_type: Span::ABSENT,
            data: Span::ABSENT,
            attributes_start: cx.output.attributes.len() as u32,
            attributes_count: 0,
        };
        Self { cx, row, wrong }
    }

    /// The kind of event; else it is the channel's name.
    pub fn type_(mut self, type_: &str) -> Self {
        self.row.type_ = self.put(type_);
        self
    }

    /// What the event is about; else what its cause is about.
    pub fn subject(mut self, subject: &str) -> Self {
        self.row.subject = self.put(subject);
        self
    }

    /// The attribute `partitionkey`; else that of its cause.
    pub fn partition_key(mut self, key: &str) -> Self {
        self.row.partition_key = self.put(key);
        self
    }

    /// An extension: its name has lower-case letters and digits only, as CloudEvents wants.
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.wrong = self.wrong.take().or_else(|| refuses_extension(name));
        let row = AttributeRow { name: self.put(name), value: self.put(value) };
        self.cx.output.attributes.push(row);
        self.row.attributes_count += 1;
        self
    }

    /// Publishes with a value as JSON data.
    pub fn json<T: Serialize + ?Sized>(mut self, data: &T) -> Handled {
        self.row.data = self.cx.output.put_json(data).or_retry("writing the data to publish")?;
        self.row.content_type = self.put("application/json");
        self.publish()
    }

    /// Publishes with data of any media type.
    pub fn bytes(mut self, content_type: &str, data: &[u8]) -> Handled {
        self.row.data = self.cx.output.put(data);
        self.row.content_type = self.put(content_type);
        self.publish()
    }

    /// Publishes without data.
    pub fn no_data(self) -> Handled {
        self.publish()
    }

    fn put(&mut self, text: &str) -> Span {
        self.cx.output.put(text.as_bytes())
    }

    fn publish(self) -> Handled {
        match self.wrong {
            Some(fault) => Err(fault),
            None => {
                self.cx.output.emits.push(self.row);
                Ok(Told::new())
            }
        }
    }
}

fn refuses_extension(name: &str) -> Option<Fault> {
    let spelled = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let allowed = !name.is_empty() && name.bytes().all(spelled) && !NO_EXTENSIONS.contains(&name);
    (!allowed).then(|| {
        Fault::retry(format_args!(
            "'{name}' is not an extension that a processor can set; use lower-case letters and digits, \
             and no attribute that the host sets or that has a method of its own"
        ))
    })
}
