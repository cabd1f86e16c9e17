//! Talks to a host over HTTP for the client commands. It is the only place of the command line that names the
//! HTTP client.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use ureq::http::request::Builder;
use ureq::http::{Request, header};

use super::failure::{Exit, Failure};
use super::messages::Messages;
use crate::model::report::Problem;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take beyond what the request itself waits for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// A host at its address.
pub struct Client {
    agent: ureq::Agent,
    server: String,
    /// The header that says who asks.
    authorization: Option<String>,
}

/// What is asked of the host.
pub struct Ask<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path with its query.
    pub path: String,
    /// The media type of the body.
    pub content_type: &'a str,
    /// The body.
    pub body: Vec<u8>,
    /// How long the host may take on purpose.
    pub wait: Duration,
}

impl Ask<'_> {
    /// Asks for something that is there at once.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), content_type: "", body: Vec::new(), wait: Duration::ZERO }
    }
}

/// What the host answered, when it did not refuse.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as what it should be.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::failed(format!("the answer is not what this version of baton reads: {error}"))
        })
    }
}

impl Client {
    /// A client of the host at `server`, which knows it by a token.
    pub fn new(server: &str, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_connect(Some(CONNECT_TIME_MAX));
        let authorization = token.map(|token| format!("Bearer {token}"));
        Self { agent: config.build().into(), server: server.trim_end_matches('/').to_owned(), authorization }
    }

    /// Asks for a report.
    pub fn get<T: DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Failure> {
        self.ask(Ask::get(path))?.read()
    }

    /// Asks, and turns a refusal into a failure.
    pub fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        let url = format!("{}{}", self.server, ask.path);
        let mut request = self.request().method(ask.method).uri(url);
        if !ask.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, ask.content_type);
        }
        let request = request
            .body(ask.body)
            .map_err(|error| Failure::new(Exit::Usage, format!("'{}' is no URL: {error}", self.server)))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(ask.wait + ANSWER_TIME_MAX)).build();
        let mut response = self.agent.run(request).map_err(|error| self.no_answer(&error))?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.no_answer(&error))?;
        self.accept(Reply { status: response.status().as_u16(), body })
    }

    /// Reads live, from behind the message with the id `last` if it is not empty. There is no end to wait for: it ends when the
    /// host ends it.
    pub fn live(&self, path: &str, last: &str) -> Result<Messages<impl BufRead + use<>>, Failure> {
        let mut request =
            self.request().uri(format!("{}{path}", self.server)).header(header::ACCEPT, "text/event-stream");
        if !last.is_empty() {
            request = request.header("last-event-id", last);
        }
        let request = request
            .body(())
            .map_err(|error| Failure::new(Exit::Usage, format!("'{}' is no URL: {error}", self.server)))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_recv_response(Some(ANSWER_TIME_MAX)).build();
        let mut response = self.agent.run(request).map_err(|error| self.no_answer(&error))?;
        if response.status().as_u16() != 200 {
            let body = response.body_mut().read_to_vec().map_err(|error| self.no_answer(&error))?;
            return Err(self.refusal(&Reply { status: response.status().as_u16(), body }));
        }
        Ok(Messages::new(BufReader::new(response.into_body().into_reader()), last.to_owned()))
    }

    fn request(&self) -> Builder {
        match &self.authorization {
            Some(authorization) => Request::builder().header(header::AUTHORIZATION, authorization),
            None => Request::builder(),
        }
    }

    fn accept(&self, reply: Reply) -> Result<Reply, Failure> {
        if reply.status < 300 {
            return Ok(reply);
        }
        Err(self.refusal(&reply))
    }

    fn refusal(&self, reply: &Reply) -> Failure {
        match serde_json::from_slice::<Problem>(&reply.body) {
            Ok(problem) => Failure::refused(problem),
            Err(_) => {
                let (server, status) = (&self.server, reply.status);
                Failure::failed(format!("what answers at {server} is no Baton host: HTTP {status}"))
            }
        }
    }

    fn no_answer(&self, error: &ureq::Error) -> Failure {
        let server = &self.server;
        match error {
            ureq::Error::Timeout(kind) if *kind != ureq::Timeout::Connect => {
                Failure::new(Exit::Timeout, format!("the host at {server} did not answer in time ({kind})"))
            }
            ureq::Error::BadUri(_) | ureq::Error::TlsRequired => {
                Failure::new(Exit::Usage, format!("'{server}' cannot be asked; write http://HOST:PORT"))
            }
            _ => Failure::new(
                Exit::Unreachable,
                format!(
                    "no host answers at {server}: {error}\nStart one with `baton serve`, or name another with \
                     --server URL or BATON_SERVER."
                ),
            ),
        }
    }
}

/// What is written otherwise in a part of a path: all but letters, digits and what never means anything there.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as a part of a path.
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// Writes the parameters of a query that are there, `?` included.
pub fn query(params: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (name, value) in params {
        if let Some(value) = value {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_what_is_there() {
        let params = [("from", None), ("key", Some("a b&c".to_owned())), ("limit", Some("5".to_owned()))];
        assert_eq!(query(&params), "?key=a%20b%26c&limit=5");
        assert_eq!(query(&[]), "");
        assert_eq!(part("place-order-17/a b"), "place-order-17%2Fa%20b");
    }

    #[test]
    fn a_host_that_is_not_there_is_said_with_the_way_to_start_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let failure = Client::new(&server, None).ask(Ask::get("/v1/status")).err().unwrap();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.message.contains("baton serve") && failure.message.contains(&server), "{failure}");
    }
}
