//! Reaches servers for guests: HTTP requests, and the addresses that sockets may connect to. What may be reached is decided in `model::grant`; here
//! it is held for names as well as for the addresses that they stand for, because a name can be made to stand for any address.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::config::Config;
use ureq::http::{Request, Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::model::capability::{Endpoint, Origin};
use crate::model::grant::{Granted, allows_address};
use crate::runtime::{CallScope, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Sockets};

/// The most bytes of an answer's body.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// The most bytes of an answer's headers.
const ANSWER_HEADER_BYTES_MAX: usize = 64 << 10;
/// The most headers that a request has.
const HEADERS_MAX: usize = 100;
/// How long a name may take to be looked up for a socket.
const LOOK_UP_TIME_MAX: Duration = Duration::from_secs(3);
/// The most addresses that are remembered as reachable by sockets.
const REACHABLE_MAX: usize = 1_024;
/// The header by which a server knows a request that comes again (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What the host says itself about the connection and the length.
const OWN_HEADERS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "expect",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Calls HTTP servers for the guests of one processor.
pub struct Http {
    agent: ureq::Agent,
}

impl Http {
    /// Without a connection yet.
    pub fn new() -> Self {
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_response_header_size(ANSWER_HEADER_BYTES_MAX)
            .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: ureq::Agent::with_parts(config, DefaultConnector::default(), Checked::default()) }
    }

    /// Makes a request, if it is granted. It may take so long, connection and answer included.
    pub fn send(
        &self,
        granted: &Granted,
        request: &HttpRequest,
        key: &str,
        time_max: Duration,
    ) -> Result<HttpResponse, HttpFailure> {
        let origin = origin_of(&request.url)?;
        if !granted.allows_http(&request.method, &origin) {
            let what = format!("{} {origin}", request.method);
            return Err(failure(
                HttpFailureKind::Denied,
                format!(
                    "{what} is not among what it asked for and was granted; add it to http(..) of its #[processor] attribute and to its grants"
                ),
            ));
        }
        let answer = match &request.body {
            Some(body) => self.run(head(request, key)?.body(body.as_slice()).map_err(invalid)?, time_max),
            None => self.run(head(request, key)?.body(()).map_err(invalid)?, time_max),
        };
        let mut answer = answer.map_err(|error| failed(&error, &origin))?;
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = answer.headers().iter().map(header).collect();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| failed(&error, &origin))?;
        Ok(HttpResponse { status: answer.status().as_u16(), headers, body })
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
        time_max: Duration,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(Some(time_max)).build())
    }
}

fn head(request: &HttpRequest, key: &str) -> Result<ureq::http::request::Builder, HttpFailure> {
    let mut head = Request::builder().method(request.method.as_str()).uri(request.url.as_str());
    if request.headers.len() > HEADERS_MAX {
        return Err(invalid(format!("it has {} headers, at most {HEADERS_MAX}", request.headers.len())));
    }
    for (name, value) in &request.headers {
        if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(invalid(format!("the header '{name}' is the host's own; leave it out")));
        }
        head = head.header(name, value);
    }
    let has_key = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY));
    Ok(if has_key { head } else { head.header(IDEMPOTENCY_KEY, format!("\"{key}\"")) })
}

fn origin_of(url: &str) -> Result<Origin, HttpFailure> {
    let uri: Uri = url.parse().map_err(|error| invalid(format!("'{url}' is no address: {error}")))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid(format!("'{url}' is no whole address; write https://HOST/PATH")));
    };
    let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
    origin.parse().map_err(invalid)
}

fn failure(kind: HttpFailureKind, message: impl Into<String>) -> HttpFailure {
    HttpFailure { kind, message: message.into() }
}

fn invalid(error: impl ToString) -> HttpFailure {
    failure(HttpFailureKind::Invalid, error.to_string())
}

fn failed(error: &ureq::Error, origin: &Origin) -> HttpFailure {
    let kind = match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            HttpFailureKind::Denied
        }
        ureq::Error::Timeout(_) => HttpFailureKind::Timeout,
        ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => HttpFailureKind::TooLarge,
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => HttpFailureKind::Invalid,
        _ => HttpFailureKind::Unreachable,
    };
    failure(kind, format!("{origin}: {error}"))
}

/// Looks names up, and keeps of what they stand for what may be reached. Connections go to these addresses and to no others.
#[derive(Default)]
struct Checked(DefaultResolver);

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checked")
    }
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        let mut kept = self.empty();
        for address in found.iter() {
            if allows_address(&Endpoint { host: host.clone(), port: address.port() }, address.ip()) {
                kept.push(*address);
            }
        }
        if kept.is_empty() { Err(ureq::Error::Io(inner(&host))) } else { Ok(kept) }
    }
}

fn inner(host: &str) -> std::io::Error {
    let why = format!(
        "'{host}' stands for an address of this machine or of a private network; such an address is reached only where it is itself \
         asked for and granted in place of a name"
    );
    std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)
}

/// The key of a request: the same for each try of the same event, another for each request of it.
pub fn idempotency_key(processor: &str, scope: &CallScope<'_>, event: u32, index: u64) -> String {
    let event = scope.event(event);
    let attribute = |name| event.as_ref().and_then(|event| event.attribute(name)).unwrap_or_default();
    let part = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    format!("{processor}/{}/{}/{index}", part(attribute("source")), part(attribute("id")))
}

/// What the sockets of one processor may reach.
pub struct Reachable {
    granted: Granted,
    /// What granted names stood for when they were looked up.
    found: Mutex<HashSet<SocketAddr>>,
}

impl Reachable {
    /// The servers of a grant.
    pub fn new(granted: Granted) -> Self {
        Self { granted, found: Mutex::default() }
    }
}

impl Sockets for Reachable {
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        let host = name.to_ascii_lowercase();
        let ports = self.granted.tcp_ports(&host);
        let Some(port) = ports.first().copied() else { return Vec::new() };
        let allowed = |address: &IpAddr| allows_address(&Endpoint { host: host.clone(), port }, *address);
        let addresses: Vec<_> = look_up(&host, port).into_iter().filter(allowed).collect();
        let mut found = self.found.lock();
        if found.len() > REACHABLE_MAX {
            found.clear();
        }
        found.extend(addresses.iter().flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port))));
        addresses
    }

    fn allows(&self, address: SocketAddr) -> bool {
        let at = Endpoint { host: address.ip().to_string(), port: address.port() };
        self.granted.allows_tcp(&at) || self.found.lock().contains(&address)
    }
}

/// Looks a name up, for a bounded time: the system's own look-up may take longer and cannot be ended.
fn look_up(host: &str, port: u16) -> Vec<IpAddr> {
    let (post, answer) = mpsc::channel();
    let target = (host.to_owned(), port);
    let look = move || {
        let found = target.to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        // Nobody hears it when it comes too late.
        let _ = post.send(found.unwrap_or_default());
    };
    match std::thread::Builder::new().name("baton-names".to_owned()).spawn(look) {
        Ok(_) => answer.recv_timeout(LOOK_UP_TIME_MAX).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}
