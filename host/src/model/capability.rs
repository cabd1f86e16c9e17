//! What a processor asks for beside events and state: servers that it calls, secrets that it reads. An ask opens nothing by itself;
//! the operator's grant in `baton.toml` does, see `grant`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most servers, and the most secrets, that a processor asks for.
const ASKS_MAX: usize = 32;
/// The longest name of a host.
const HOST_CHARS_MAX: usize = 253;
/// The longest name of a setting or a secret.
const NAME_CHARS_MAX: usize = 128;

/// The methods of HTTP that can be asked for.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What a processor asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// The HTTP servers that it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpAsk>,
    /// The TCP servers that it connects to, as `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<Server<Endpoint>>,
    /// The settings that it reads; without any, all that the operator gives it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<String>,
    /// The secrets that it reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// An HTTP server that a processor calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAsk {
    /// The server, such as `https://api.example.com`.
    pub origin: Server<Origin>,
    /// The methods.
    #[serde(default = "get_alone")]
    pub methods: Vec<String>,
}

fn get_alone() -> Vec<String> {
    vec!["GET".to_owned()]
}

/// A server that an author knows, or one that the operator names in a setting: `{smtp}` is what the setting `smtp` says. Without that setting nothing is
/// asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String", bound = "T: FromStr<Err = ServerError> + fmt::Display + Clone")]
#[schemars(with = "String")]
pub enum Server<T> {
    /// This one.
    Known(T),
    /// The one that a setting names.
    Setting(String),
}

impl<T: FromStr<Err = ServerError>> TryFrom<String> for Server<T> {
    type Error = ServerError;

    fn try_from(text: String) -> Result<Self, ServerError> {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if is_name(name) => Ok(Self::Setting(name.to_owned())),
            _ => text.parse().map(Self::Known),
        }
    }
}

impl<T: fmt::Display> From<Server<T>> for String {
    fn from(server: Server<T>) -> Self {
        server.to_string()
    }
}

impl<T: fmt::Display> fmt::Display for Server<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(server) => server.fmt(f),
            Self::Setting(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// Scheme, host and port of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Origin {
    /// Whether it is `https`.
    pub secure: bool,
    /// Where it is.
    pub at: Endpoint,
}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Endpoint {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no server: write {expected}")]
pub struct ServerError {
    text: String,
    expected: &'static str,
}

const ORIGIN: &str =
    "https://HOST or http://HOST, with :PORT if it is not the usual one, in lower case and without a path";
const ENDPOINT: &str = "HOST:PORT, in lower case, and an IPv6 address in brackets";

impl Origin {
    fn usual_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }
}

impl FromStr for Origin {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let refused = || ServerError { text: text.chars().take(80).collect(), expected: ORIGIN };
        let (secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(refused()),
        };
        let at = endpoint(rest, Some(Self::usual_port(secure))).ok_or_else(refused)?;
        Ok(Self { secure, at })
    }
}

impl FromStr for Endpoint {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        endpoint(text, None)
            .ok_or_else(|| ServerError { text: text.chars().take(80).collect(), expected: ENDPOINT })
    }
}

fn endpoint(text: &str, usual_port: Option<u16>) -> Option<Endpoint> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']').filter(|(host, _)| host.contains(':'))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if rest.is_empty() => usual_port?,
        None => return None,
    };
    is_host(host).then(|| Endpoint { host: host.to_owned(), port })
}

fn is_host(host: &str) -> bool {
    if host.contains(':') {
        return host.parse::<IpAddr>().is_ok();
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    };
    host.len() <= HOST_CHARS_MAX && host.split('.').all(is_label)
}

impl Endpoint {
    /// The address that stands there in place of a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.bracketed(), self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.at.bracketed())?;
        if self.at.port == Self::usual_port(self.secure) { Ok(()) } else { write!(f, ":{}", self.at.port) }
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = ServerError;

            fn try_from(text: String) -> Result<Self, ServerError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(server: $type) -> Self {
                server.to_string()
            }
        }
    };
}

as_text!(Origin);
as_text!(Endpoint);

impl Capabilities {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What no type can say: the field and why it cannot be.
    pub fn fault(&self) -> Option<(String, String)> {
        let Self { http, tcp, config, secrets } = self;
        for (field, count) in
            [("http", http.len()), ("tcp", tcp.len()), ("config", config.len()), ("secrets", secrets.len())]
        {
            if count > ASKS_MAX {
                return Some((field.to_owned(), format!("{count} entries; at most {ASKS_MAX}")));
            }
        }
        for (index, ask) in http.iter().enumerate() {
            let unknown = ask.methods.iter().find(|method| !METHODS.contains(&method.as_str()));
            if ask.methods.is_empty() || unknown.is_some() {
                let why = format!("methods are some of {}", METHODS.join(", "));
                return Some((format!("http[{index}].methods"), why));
            }
        }
        let named = |field: &'static str, names: &[String]| {
            let bad = names.iter().position(|name| !is_name(name))?;
            let why = format!("a name has 1 to {NAME_CHARS_MAX} letters, digits, '-', '_' and '.'");
            Some((format!("{field}[{bad}]"), why))
        };
        named("config", config).or_else(|| named("secrets", secrets))
    }

    /// Each ask as a line, to be compared with those of another version.
    pub fn lines(&self) -> Vec<String> {
        let http = self
            .http
            .iter()
            .flat_map(|ask| ask.methods.iter().map(move |method| format!("http: {method} {}", ask.origin)));
        let tcp = self.tcp.iter().map(|at| format!("tcp: {at}"));
        let secrets = self.secrets.iter().map(|name| format!("secret: {name}"));
        http.chain(tcp).chain(secrets).collect()
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(allowed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_written_in_one_way() {
        for (text, host, port) in [
            ("https://api.example.com", "api.example.com", 443),
            ("http://api.example.com:8080", "api.example.com", 8080),
            ("http://127.0.0.1", "127.0.0.1", 80),
            ("https://[::1]:8443", "::1", 8443),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(
                (origin.at.host.as_str(), origin.at.port, origin.to_string()),
                (host, port, text.to_owned())
            );
        }
        assert_eq!("http://x:80".parse::<Origin>().unwrap().to_string(), "http://x");
        assert_eq!("[::1]:25".parse::<Endpoint>().unwrap().to_string(), "[::1]:25");
        let bad = [
            "api.example.com",
            "ftp://x",
            "https://",
            "https://x/path",
            "https://x:0",
            "https://x:70000",
            "https://X",
            "https://user@x",
            "https://x?q",
            "https://*.x",
            "https://[x]",
            "https://x..y",
            "https://::1",
        ];
        for bad in bad {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        assert!("mail.example.com".parse::<Endpoint>().unwrap_err().to_string().contains("HOST:PORT"));
    }

    #[test]
    fn an_ask_that_cannot_be_is_told_by_its_field() {
        let fault = |json: &str| serde_json::from_str::<Capabilities>(json).unwrap().fault().unwrap().0;
        assert_eq!(fault(r#"{"http":[{"origin":"https://x","methods":["get"]}]}"#), "http[0].methods");
        assert_eq!(fault(r#"{"http":[{"origin":"https://x","methods":[]}]}"#), "http[0].methods");
        assert_eq!(fault(r#"{"secrets":["ok",""]}"#), "secrets[1]");
        let many = serde_json::to_string(&vec!["x:1"; 33]).unwrap();
        assert_eq!(fault(&format!(r#"{{"tcp":{many}}}"#)), "tcp");
        let good = r#"{"http":[{"origin":"https://x"}],"tcp":["{smtp}"],"secrets":["p"]}"#;
        let good: Capabilities = serde_json::from_str(good).unwrap();
        assert_eq!((good.fault(), good.http[0].methods.as_slice()), (None, &["GET".to_owned()][..]));
        assert_eq!(good.lines(), ["http: GET https://x", "tcp: {smtp}", "secret: p"]);
    }
}
