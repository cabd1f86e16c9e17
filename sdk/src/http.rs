//! Calls of HTTP servers. A processor asks for them in its `#[processor]` attribute, `http("https://api.example.com")`, and the operator grants
//! them. What was sent is not taken back when the event fails later: a server may see a request again, always with the same `Idempotency-Key`.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, OrFault};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// What a server answered, whatever its status. Redirects are not followed: they are answers too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// Of which kind.
    pub kind: HttpErrorKind,
    /// What went wrong, and what to do.
    pub message: String,
}

/// Kinds of failed requests, in the order of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// It is not granted.
    Denied,
    /// It is no request that could be sent.
    Invalid,
    /// The server cannot be reached, or broke off.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The answer is too large.
    TooLarge,
}

impl Request {
    /// A request with any method.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self { method: method.to_ascii_uppercase(), url: url.into(), headers: Vec::new(), body: None }
    }

    /// Asks for something.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Sends something.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends these bytes.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends a value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Fault> {
        let body = serde_json::to_vec(value).or_retry("writing the request")?;
        Ok(self.header("content-type", "application/json").bytes(body))
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body, if there is one.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }
}

impl Response {
    /// An answer, for tests.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a value. What a server answers may be another thing next time, so an answer that does not decode is tried again.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).or_retry("reading the answer")
    }
}

impl HttpErrorKind {
    /// The kinds in the order of the contract.
    #[cfg(target_family = "wasm")]
    pub(crate) fn of(number: u8) -> Self {
        match number {
            0 => Self::Denied,
            1 => Self::Invalid,
            3 => Self::Timeout,
            4 => Self::TooLarge,
            _ => Self::Unreachable,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}

/// Whatever kept the answer away, the event is not to blame: it is tried again.
impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::retry(error)
    }
}
