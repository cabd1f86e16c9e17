//! Which literals are allowed: the host's own bounds, so that what it would refuse does not compile.

use syn::{Error, Lit, LitInt, LitStr, Result};

const NAME_LEN_MAX: usize = 128;
pub const CONCURRENCY_MAX: u64 = 64;
pub const SUBSCRIPTIONS_MAX: usize = 64;
pub const ATTEMPTS_MAX: u64 = 1_000;
const FACTOR_MAX: f64 = 100.0;
const YEAR_MS: u64 = 365 * 86_400_000;
/// The faults that trying again may mend.
const FAULTS: [&str; 16] = [
    "retry",
    "trap",
    "deadline",
    "memory",
    "call-time",
    "host-calls",
    "output",
    "resources",
    "emits",
    "state",
    "malformed",
    "undeclared-channel",
    "bad-event",
    "hop-limit",
    "flow-budget",
    "host",
];
/// The limits that may be asked for, each with the least and the most.
pub const LIMITS: [(&str, (u64, u64)); 7] = [
    ("memory_bytes_max", (64 << 10, 4 << 30)),
    ("event_time_ms_max", (1, 60_000)),
    ("call_time_ms_max", (1, 120_000)),
    ("host_calls_max", (1, 10_000_000)),
    ("emits_max", (0, 50_000)),
    ("state_key_bytes_max", (1 << 10, 256 << 20)),
    ("state_bytes_max", (1 << 10, 64 << 30)),
];

/// A name as the host allows it.
pub fn name(literal: &LitStr, what: &str) -> Result<String> {
    let text = literal.value();
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let rest = |c: char| first(c) || "-_.".contains(c);
    if text.len() <= NAME_LEN_MAX && text.starts_with(first) && text.chars().all(rest) {
        return Ok(text);
    }
    let why = format!(
        "'{text}' is not a {what} name: use 1 to {NAME_LEN_MAX} lower-case letters, digits, '-', '_' and '.', \
         and begin with a letter or a digit"
    );
    Err(Error::new(literal.span(), why))
}

/// A key choice: a word, an attribute's name, or a JSON pointer.
pub fn key(literal: &LitStr) -> Result<String> {
    let text = literal.value();
    let attribute = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.starts_with('/') || (!text.is_empty() && text.chars().all(attribute)) {
        return Ok(text);
    }
    let why = format!(
        "'{text}' is not a key: use \"default\", \"single\", the name of an attribute, \
         or a JSON pointer such as \"/sku\""
    );
    Err(Error::new(literal.span(), why))
}

/// One of a few words.
pub fn one_of(literal: &LitStr, known: &[&str]) -> Result<String> {
    let text = literal.value();
    if known.contains(&text.as_str()) {
        return Ok(text);
    }
    Err(Error::new(literal.span(), format!("'{text}' is not known here; use one of {known:?}")))
}

/// A time as RFC 3339 has it; whether there is such a day is left to the host.
pub fn time(literal: &LitStr) -> Result<String> {
    let text = literal.value();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let zone = shape.strip_prefix("0000-00-00T00:00:00").map(|rest| match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        _ => rest,
    });
    if matches!(zone, Some("Z" | "+00:00" | "-00:00")) {
        return Ok(text);
    }
    let why = format!("'{text}' is not a time; write it like 2026-01-31T12:00:00Z");
    Err(Error::new(literal.span(), why))
}

/// A number between bounds, both included.
pub fn within(literal: &LitInt, (low, high): (u64, u64)) -> Result<u64> {
    match literal.base10_parse()? {
        value if (low..=high).contains(&value) => Ok(value),
        value => {
            let why = format!("{value} is out of bounds; choose {low} to {high}");
            Err(Error::new(literal.span(), why))
        }
    }
}

/// A duration such as `200ms`, `5s` or `2h`, up to a year, in milliseconds.
pub fn duration_ms(literal: &LitStr) -> Result<u64> {
    let text = literal.value();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit_ms = match text.get(digits.len()..) {
        Some("ms") => Some(1),
        Some("s") => Some(1_000),
        Some("m") => Some(60_000),
        Some("h") => Some(3_600_000),
        Some("d") => Some(86_400_000),
        _ => None,
    };
    let ms = unit_ms.and_then(|unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit));
    ms.filter(|ms| *ms <= YEAR_MS).ok_or_else(|| {
        let why = format!("'{text}' is no duration up to a year; write it like 200ms, 5s, 2m, 1h or 7d");
        Error::new(literal.span(), why)
    })
}

/// By how much each delay is longer than the one before it.
pub fn factor(literal: &Lit) -> Result<f64> {
    let factor = match literal {
        Lit::Float(float) => float.base10_parse::<f64>()?,
        Lit::Int(int) => int.base10_parse::<u32>()?.into(),
        other => return Err(Error::new(other.span(), "a factor is a number, such as 2.0")),
    };
    if (1.0..=FACTOR_MAX).contains(&factor) {
        return Ok(factor);
    }
    Err(Error::new(literal.span(), format!("{factor} is out of bounds; choose 1 to {FACTOR_MAX}")))
}

/// The faults after which an event is tried again.
pub fn faults(literals: &[LitStr]) -> Result<Vec<String>> {
    literals.iter().map(|literal| one_of(literal, &FAULTS)).collect()
}

/// The methods of HTTP that can be asked for.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// An HTTP server, such as `https://api.example.com`.
pub fn origin(literal: &LitStr) -> Result<String> {
    let text = literal.value();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if is_placeholder(&text) || rest.is_some_and(|rest| is_server(rest, false)) {
        return Ok(text);
    }
    let why = format!(
        "'{text}' is no server: write https://HOST or http://HOST, with :PORT if it is not the usual one, in lower case and without a path"
    );
    Err(Error::new(literal.span(), why))
}

/// A TCP server, such as `mail.example.com:587`.
pub fn endpoint(literal: &LitStr) -> Result<String> {
    let text = literal.value();
    if is_placeholder(&text) || is_server(&text, true) {
        return Ok(text);
    }
    let why =
        format!("'{text}' is no server: write HOST:PORT, in lower case, and an IPv6 address in brackets");
    Err(Error::new(literal.span(), why))
}

fn is_server(text: &str, needs_port: bool) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.[]:".contains(c);
    !host.is_empty() && host.chars().all(is_host_char) && port.map_or(!needs_port, is_port)
}

/// The name of a setting or of a secret.
pub fn setting(literal: &LitStr) -> Result<String> {
    let text = literal.value();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=NAME_LEN_MAX).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text);
    }
    let why = format!("'{text}' is no such name: use 1 to {NAME_LEN_MAX} letters, digits, '-', '_' and '.'");
    Err(Error::new(literal.span(), why))
}

/// A server that the operator names in a setting: `{smtp}`.
fn is_placeholder(text: &str) -> bool {
    text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.is_empty())
}
