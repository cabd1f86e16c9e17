//! Messages of a live read (server-sent events), as the client commands take them.

use std::io::BufRead;

use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::model::report::Problem;

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `message` unless it says another.
    pub kind: String,
    /// The last id that was told, this one's included; empty before the first.
    pub id: String,
    /// What it says.
    pub data: String,
}

impl Message {
    /// What it says, as what it should be.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.data).map_err(|error| foreign(&error.to_string()))
    }

    /// Its id where ids are numbers.
    pub fn number(&self) -> Result<u64, Failure> {
        self.id.parse().map_err(|_| foreign(&format!("the id '{}' is no number", self.id)))
    }
}

fn foreign(why: &str) -> Failure {
    Failure::failed(format!("the host sent what this version of baton does not read: {why}"))
}

/// The messages of a body, until it ends.
pub struct Messages<R> {
    body: R,
    id: String,
}

impl<R: BufRead> Messages<R> {
    /// Reads a body; `id` is the last one that was told before.
    pub fn new(body: R, id: String) -> Self {
        Self { body, id }
    }

    /// The next message, or nothing when the body ends, however it does. A message `problem` is a failure.
    pub fn next(&mut self) -> Result<Option<Message>, Failure> {
        let Some(message) = self.read() else { return Ok(None) };
        if message.kind == "problem"
            && let Ok(problem) = serde_json::from_str::<Problem>(&message.data)
        {
            return Err(Failure::refused(problem));
        }
        Ok(Some(message))
    }

    fn read(&mut self) -> Option<Message> {
        let mut message = Message { kind: "message".to_owned(), ..Message::default() };
        let mut line = String::new();
        // A body that breaks off has ended too: the next one begins behind the last whole message.
        while self.body.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let text = line.trim_end_matches(['\r', '\n']);
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut message.kind),
                "data" => {
                    message.data.push_str(value);
                    message.data.push('\n');
                }
                "id" => value.clone_into(&mut message.id),
                "" if text.is_empty() && !message.data.is_empty() => return Some(self.whole(message)),
                _ => {}
            }
            line.clear();
        }
        None
    }

    fn whole(&mut self, mut message: Message) -> Message {
        message.data.pop();
        if !message.id.is_empty() {
            self.id.clone_from(&message.id);
        }
        message.id.clone_from(&self.id);
        message
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<(String, String, String)> {
        let mut messages = Messages::new(text.as_bytes(), "4".to_owned());
        let mut found = Vec::new();
        while let Some(message) = messages.next().unwrap() {
            found.push((message.kind, message.id, message.data));
        }
        found
    }

    #[test]
    fn messages_are_read_as_the_format_says() {
        let text = ": hello\n\nid: 5\ndata: {\"a\":\ndata: 1}\n\n:\n\nevent: gap\r\ndata:x\r\n\r\nid: 6\n\ndata: cut";
        let expected = [("message", "5", "{\"a\":\n1}"), ("gap", "5", "x")];
        let expected = expected.map(|(kind, id, data)| (kind.to_owned(), id.to_owned(), data.to_owned()));
        assert_eq!(messages(text), expected);
        assert_eq!(messages("data: 1\n\n")[0].1, "4");
    }

    #[test]
    fn a_problem_is_a_failure() {
        let problem = r#"{"type":"t","title":"t","status":404,"code":"unknown-flow","detail":"gone"}"#;
        let text = format!("event: problem\ndata: {problem}\n\n");
        let failure = Messages::new(text.as_bytes(), String::new()).next().unwrap_err();
        assert_eq!(failure.code.as_deref(), Some("unknown-flow"));
    }
}
