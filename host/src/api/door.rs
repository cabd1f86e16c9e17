//! The door of every route: who asks, from where, and whether they may. What operators do is audited here. Nothing behind it asks
//! again.
//!
//! A page in a browser reaches a loopback address too, by its own scripts or by a name that it lets point there. So the `Host` must be one of
//! ours, an `Origin` that is not ours is turned away, and there are no cookies: a token is never sent by a browser on its own.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::allowance::Allowance;
use super::params::with_small_body_read;
use super::problem::Refusal;
use crate::config::ApiSettings;
use crate::model::access::{Caller, Role};
use crate::node::Node;

/// Routes that tell a machine whether the host is well, and nothing else.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
/// The route of events that come in: the only one for publishers.
const PUBLISH: &str = "/v1/channels/{name}/events";
/// How many acts may wait to be recorded; more are told in the log only.
const AUDITS_MAX: usize = 64;
/// The most characters of a path that are recorded.
const PATH_CHARS_MAX: usize = 500;

/// What the door knows.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    node: Node,
    settings: ApiSettings,
    /// The address that it listens on.
    listen: IpAddr,
    allowance: Allowance,
    audits: Arc<Semaphore>,
}

impl Door {
    /// The door of a host that listens there.
    pub fn new(node: Node, listen: IpAddr) -> Self {
        let settings = node.config().settings.api.clone();
        let allowance = Allowance::new(settings.requests_per_s_max);
        let audits = Arc::new(Semaphore::new(AUDITS_MAX));
        Self(Arc::new(Inner { node, settings, listen, allowance, audits }))
    }

    fn admit(&self, request: &Request) -> Result<(Caller, Role), Refusal> {
        let headers = request.headers();
        self.check_host(headers, request.uri().host())?;
        self.check_origin(headers)?;
        let caller = self.caller(headers)?;
        let role = needed(request);
        if !caller.may(role) {
            return Err(forbidden(&caller, role));
        }
        self.0.allowance.take(&caller.name, self.0.node.now_ms()).map_err(|wait_s| {
            let detail = format!(
                "the token '{}' asks more than {} times a second, as api.requests_per_s_max says",
                caller.name, self.0.settings.requests_per_s_max
            );
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).retry_after(wait_s)
        })?;
        check_content_type(request, role)?;
        Ok((caller, role))
    }

    fn check_host(&self, headers: &HeaderMap, target: Option<&str>) -> Result<(), Refusal> {
        let given = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(target);
        let name = given.map(without_port).unwrap_or_default();
        if self.is_own(name) {
            return Ok(());
        }
        let detail = format!(
            "the Host '{name}' is none of this host's names; ask it by its address, or add the name to api.hosts in baton.toml"
        );
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail))
    }

    fn is_own(&self, name: &str) -> bool {
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_address =
            |ip: IpAddr| ip.is_loopback() || ip == self.0.listen || self.0.listen.is_unspecified();
        address.is_ok_and(is_address)
            || name.eq_ignore_ascii_case("localhost")
            || self.0.settings.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("?");
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_same = origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
        if is_same {
            return Ok(());
        }
        let detail =
            format!("pages of '{origin}' may not ask this host; it answers programs and its own pages");
        Err(Refusal::new(StatusCode::FORBIDDEN, "foreign-origin", detail))
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = given.and_then(|value| {
            let (scheme, secret) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
        });
        let Some(secret) = secret else {
            let detail = "this host wants a token: `Authorization: Bearer TOKEN`. The command line has that of the machine's user \
                          from ~/.config/baton/token, or takes BATON_TOKEN; `baton token create` makes others";
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-token", detail));
        };
        self.0.node.access().caller(secret).ok_or_else(|| {
            let detail = "this host does not know the token, or it was revoked; `baton token ls` lists those that hold";
            Refusal::new(StatusCode::UNAUTHORIZED, "unknown-token", detail)
        })
    }

    /// The answer does not wait for the record: control is never behind a slow disk.
    fn audit(&self, caller: Caller, method: String, path: String, status: u16) {
        let Ok(place) = self.0.audits.clone().try_acquire_owned() else {
            tracing::warn!(by = %caller.name, method, path, status, "so many acts wait that this one is recorded here only");
            return;
        };
        let node = self.0.node.clone();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            if let Err(error) = node.audit(&caller.name, &method, &path, status) {
                tracing::warn!(%error, "an act is in the host's log only: it could not be recorded");
            }
        });
    }
}

/// Lets in who may, and records what an operator did.
pub async fn door(State(door): State<Door>, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let (caller, role) = match door.admit(&request) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    let act = (role == Role::Admin).then(|| (request.method().to_string(), path_of(&request)));
    let response = match with_small_body_read(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if let Some((method, path)) = act {
        door.audit(caller, method, path, response.status().as_u16());
    }
    response
}

/// The role that a request needs: to publish, to read, and everything else is for operators.
fn needed(request: &Request) -> Role {
    match *request.method() {
        Method::GET | Method::HEAD => Role::Read,
        Method::POST if is_publish(request) => Role::Publish,
        _ => Role::Admin,
    }
}

fn is_publish(request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == PUBLISH)
}

/// A body that changes something says what it is: forms of a page cannot.
fn check_content_type(request: &Request, role: Role) -> Result<(), Refusal> {
    if role != Role::Admin || request.method() == Method::DELETE || has_no_body(request.headers()) {
        return Ok(());
    }
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = given.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match media.as_deref() {
        Some("application/json" | "application/wasm" | "application/yaml") => Ok(()),
        other => {
            let found = other.map_or(Cow::Borrowed("none"), |other| Cow::Owned(format!("'{other}'")));
            let detail = format!(
                "the Content-Type is {found}; send application/json, application/wasm for a component, or application/yaml for a definition"
            );
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-media-type", detail))
        }
    }
}

fn has_no_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    length && !headers.contains_key(header::TRANSFER_ENCODING)
}

fn forbidden(caller: &Caller, role: Role) -> Refusal {
    let detail = format!("the token '{}' may not do this: it needs the role {role}", caller.name);
    Refusal::new(StatusCode::FORBIDDEN, "role-missing", detail)
}

/// `127.0.0.1:7077` is `127.0.0.1`, `[::1]:7077` is `[::1]`.
fn without_port(host: &str) -> &str {
    match (host.rfind(':'), host.ends_with(']')) {
        (Some(at), false) => host.get(..at).unwrap_or(host),
        _ => host,
    }
}

fn path_of(request: &Request) -> String {
    request.uri().path_and_query().map_or("/", |path| path.as_str()).chars().take(PATH_CHARS_MAX).collect()
}
