//! Live reads as a client meets them: messages of a stream of server-sent events, one after another.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;
use ureq::http::Request;

use crate::http::Http;

/// One message.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// `message` unless it says another.
    pub kind: String,
    /// Its id, or empty.
    pub id: String,
    /// Its data as JSON.
    pub data: Value,
}

/// A stream that is being read.
pub struct Live(Box<dyn BufRead + Send>);

impl Http {
    /// Opens a stream, or says with which status and code it was refused.
    pub fn try_live(&self, path: &str, last_id: Option<&str>) -> Result<Live, (u16, String)> {
        let mut request =
            Request::builder().uri(format!("{}{path}", self.url)).header("accept", "text/event-stream");
        request = request.header("authorization", self.authorization());
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let mut response =
            self.agent().run(request.body(()).unwrap()).unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let status = response.status().as_u16();
        if status != 200 {
            let problem = response.body_mut().read_to_string().unwrap();
            let problem: Value = serde_json::from_str(&problem).unwrap();
            return Err((status, problem["code"].as_str().unwrap().to_owned()));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        Ok(Live(Box::new(BufReader::new(body))))
    }

    /// Opens a stream.
    pub fn live(&self, path: &str, last_id: Option<&str>) -> Live {
        self.try_live(path, last_id).unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
    }
}

impl Live {
    /// The next message; none when the stream has ended, however it did.
    pub fn message(&mut self) -> Option<Message> {
        let mut message = Message { kind: "message".to_owned(), id: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", kind)) => message.kind = kind.to_owned(),
                Some(("id", id)) => message.id = id.to_owned(),
                Some(("data", data)) => message.data = serde_json::from_str(data).unwrap(),
                _ if line.trim_end().is_empty() && !message.data.is_null() => return Some(message),
                _ => {}
            }
        }
    }

    /// So many messages as their kinds and ids.
    pub fn take(&mut self, count: usize) -> Vec<(String, String)> {
        let next = |n: usize| self.message().unwrap_or_else(|| panic!("the stream ended after {n} messages"));
        (0..count).map(next).map(|message| (message.kind, message.id)).collect()
    }

    /// So many ids of events, with nothing else between them.
    pub fn ids(&mut self, count: usize) -> Vec<u64> {
        let id = |(kind, id): (String, String)| {
            assert_eq!(kind, "message");
            id.parse().unwrap()
        };
        self.take(count).into_iter().map(id).collect()
    }
}
