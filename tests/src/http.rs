//! Requests to a host and what it answers, whatever the status is.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, Request, Response};

/// The media type of one event in JSON.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of a batch.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// The token of the hosts of tests.
pub const TOKEN: &str = "a-token-of-tests";

/// An answer with its body as JSON; `null` where it is none.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON.
    pub body: Value,
}

impl Answer {
    /// Ends the test unless the status is the expected one.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A client of one host.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
    authorization: String,
    /// Where the host listens.
    pub url: String,
}

impl Http {
    /// A client that gives up after four minutes.
    pub fn new(url: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(240)));
        Self { agent: config.build().into(), authorization: format!("Bearer {TOKEN}"), url }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { authorization: format!("Bearer {token}"), ..self.clone() }
    }

    /// What asks.
    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The header that says who asks.
    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Any request; what breaks on the way is an error.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let says_who = headers.iter().any(|(name, _)| *name == "authorization");
        if !says_who {
            request = request.header("authorization", &self.authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A body where none belongs is refused by the client; a GET has none.
        let response = match body.is_empty() && method != "POST" && method != "PUT" {
            true => self.agent.run(request.body(()).unwrap())?,
            false => self.agent.run(request.body(body).unwrap())?,
        };
        answer(response)
    }

    /// GET; once more where a connection that was kept open turns out to be closed, as HTTP has it for whatever changes nothing.
    pub fn get(&self, path: &str) -> Answer {
        let ask = || self.ask("GET", path, &[], Vec::new());
        let answer = match ask() {
            Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => ask(),
            answer => answer,
        };
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// POST of JSON under a media type.
    pub fn post(&self, path: &str, content_type: &str, body: &Value) -> Answer {
        let headers = [("content-type", content_type)];
        let answer = self.ask("POST", path, &headers, body.to_string().into_bytes());
        answer.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// PUT
    pub fn put(&self, path: &str, body: Vec<u8>) -> Answer {
        self.ask("PUT", path, &[("content-type", "application/wasm")], body)
            .unwrap_or_else(|error| panic!("PUT {path}: {error}"))
    }

    /// Publishes one event; `query` such as `?wait=reply`.
    pub fn publish(&self, channel: &str, query: &str, event: &Value) -> Answer {
        self.post(&format!("/v1/channels/{channel}/events{query}"), STRUCTURED, event)
    }

    /// Publishes many events at once.
    pub fn publish_all(&self, channel: &str, events: &[Value]) -> Answer {
        self.post(&format!("/v1/channels/{channel}/events"), BATCH, &json!(events))
    }

    /// How many events a channel has; none if nobody has named it yet.
    pub fn count(&self, channel: &str) -> u64 {
        self.get(&format!("/v1/channels/{channel}")).body["next"].as_u64().unwrap_or(0)
    }

    /// The events of a channel, oldest first.
    pub fn events(&self, channel: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/channels/{channel}/events?limit=1000")).expect(200);
        page["events"].as_array().unwrap().clone()
    }

    /// The report of one processor.
    pub fn processor(&self, name: &str) -> Value {
        self.get(&format!("/v1/processors/{name}")).body
    }

    /// The state of a processor as `key/name -> value`, in a stable order.
    pub fn state(&self, processor: &str) -> BTreeMap<String, Value> {
        self.state_of(processor).unwrap_or_else(|| panic!("there is no processor {processor}"))
    }

    /// The same for a processor that may not be there yet.
    pub fn state_of(&self, processor: &str) -> Option<BTreeMap<String, Value>> {
        let state = self.get(&format!("/v1/processors/{processor}/state?limit=10000"));
        let entry = |entry: &Value| {
            let part = |name: &str| entry[name].as_str().unwrap().to_owned();
            (format!("{}/{}", part("key"), part("name")), entry["value"].clone())
        };
        Some(state.body["entries"].as_array()?.iter().map(entry).collect())
    }
}

/// An event as a client writes it.
pub fn event(id: &str, ty: &str, subject: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/tests", "type": ty, "subject": subject,
        "datacontenttype": "application/json", "data": data,
    })
}

fn answer(mut response: Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, body })
}
