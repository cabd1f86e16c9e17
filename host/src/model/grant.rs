//! What a processor may do: its asks and the operator's grants, put together. This is the one place that decides; everything else carries out what
//! it says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::is_public;
use super::capability::{Capabilities, Endpoint, METHODS, Origin, Server, ServerError};
use super::descriptor::Descriptor;

/// The section of `baton.toml` that is for all processors.
pub const DEFAULT: &str = "default";

/// The host call that needs an ask for HTTP.
pub const HTTP_IMPORT: &str = "baton:processor/http@0.1.0";
/// The host call that needs an ask for secrets.
pub const SECRETS_IMPORT: &str = "baton:processor/secrets@0.1.0";

/// What one section of `baton.toml` grants. Texts are patterns, in which `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Servers, such as `https://*.example.com` or `GET,HEAD http://127.0.0.1:*`.
    pub http: Vec<String>,
    /// Servers as `host:port`.
    pub tcp: Vec<String>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// The channels that may be subscribed to; absent, all.
    pub reads: Option<Vec<String>>,
    /// The channels that may be published on; absent, all.
    pub publishes: Option<Vec<String>>,
}

/// All that an operator grants: sections by processor, which may be patterns, and one for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub BTreeMap<String, Grant>);

/// What a processor may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    http: Vec<(Origin, Vec<String>)>,
    tcp: Vec<Endpoint>,
    /// Without any, all settings.
    config: Vec<String>,
    secrets: Vec<String>,
}

/// Why a component is not run: something that it wants, and what is missing for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// It imports a host call and does not ask for what that is for.
    #[error(
        "it imports '{import}' and asks for no {what}; add {example} to its #[processor] attribute, and in baton.toml under \
         [grants.{processor}]: {line}"
    )]
    Ask {
        /// The processor.
        processor: String,
        /// The import.
        import: &'static str,
        /// What it would have to ask for.
        what: &'static str,
        /// How that is written.
        example: &'static str,
        /// What grants it.
        line: &'static str,
    },
    /// A setting names no server, and it asks for the one that the setting names.
    #[error("its setting '{setting}' names the server that it asks for: {error}")]
    Server {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        error: ServerError,
    },
    /// It asks for something that the operator did not grant.
    #[error(
        "it asks for {what}, which is not granted; to grant it, write in baton.toml under [grants.{processor}]: {key} = [\"{value}\"]"
    )]
    Grant {
        /// The processor.
        processor: String,
        /// What it asks for.
        what: String,
        /// The key of the grant.
        key: &'static str,
        /// What the grant would say.
        value: String,
    },
}

/// All that is missing, with one section to add to `baton.toml`.
pub fn told(missing: &[Missing]) -> String {
    let mut texts = Vec::new();
    let mut wants = Vec::new();
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut section = "";
    for one in missing {
        match one {
            Missing::Grant { processor, what, key, value } => {
                section = processor;
                wants.push(what.as_str());
                lines.entry(key).or_default().push(format!("\"{value}\""));
            }
            other => texts.push(other.to_string()),
        }
    }
    if !wants.is_empty() {
        let lines: Vec<_> =
            lines.iter().map(|(key, values)| format!("{key} = [{}]", values.join(", "))).collect();
        texts.push(format!(
            "it asks for {}, which is not granted; to grant it, write in baton.toml under [grants.{section}]: {}",
            wants.join(", "),
            lines.join(", and ")
        ));
    }
    texts.join("; ")
}

impl Missing {
    /// The same without its subject.
    pub fn to_clause(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("it ").map(str::to_owned).unwrap_or(text)
    }
}

impl Grant {
    /// Whether a secret may be read by whoever asks for it.
    pub fn opens_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a grant can be read.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let bad = self.http.iter().find(|text| HttpPattern::read(text).is_none());
        let http = bad.map(|text| {
            let why = format!(
                "'{text}' grants nothing; write https://HOST or http://HOST, with * for any part of a name, :PORT or :* behind it, and the \
                 methods before it if not all of {}: GET,HEAD https://*.example.com",
                METHODS.join(", ")
            );
            ("http", why)
        });
        http.or_else(|| {
            let bad =
                self.tcp.iter().find(|text| text.rsplit_once(':').is_none_or(|(host, _)| host.is_empty()))?;
            Some(("tcp", format!("'{bad}' grants nothing; write HOST:PORT, with * for any part")))
        })
    }
}

/// One entry of a grant for HTTP.
struct HttpPattern<'a> {
    methods: Option<&'a str>,
    secure: bool,
    at: String,
}

impl<'a> HttpPattern<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (methods, server) = match text.split_once(' ') {
            Some((methods, server)) => (Some(methods), server.trim()),
            None => (None, text),
        };
        if methods.is_some_and(|methods| methods.split(',').any(|method| !METHODS.contains(&method))) {
            return None;
        }
        let (secure, rest) = match server.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let has_port =
            rest.rsplit_once(':').is_some_and(|(host, port)| !port.contains(']') && !host.is_empty());
        let at = if has_port { rest.to_owned() } else { format!("{rest}:{}", if secure { 443 } else { 80 }) };
        (!rest.is_empty() && !rest.contains('/')).then_some(Self { methods, secure, at })
    }

    fn grants(&self, method: &str, origin: &Origin) -> bool {
        self.secure == origin.secure
            && self.methods.is_none_or(|methods| methods.split(',').any(|granted| granted == method))
            && opens(&self.at, &origin.at)
    }
}

impl Grants {
    /// What all sections for a processor grant together.
    pub fn of(&self, processor: &str) -> Grant {
        let (own, default) = (self.own(processor), self.0.get(DEFAULT).cloned().unwrap_or_default());
        Grant { reads: own.reads.or(default.reads), publishes: own.publishes.or(default.publishes), ..own }
    }

    /// The same without the section for all processors.
    pub fn own(&self, processor: &str) -> Grant {
        let mut all = Grant::default();
        for (_, grant) in self.0.iter().filter(|(name, _)| *name != DEFAULT && matches(name, processor)) {
            all.http.extend_from_slice(&grant.http);
            all.tcp.extend_from_slice(&grant.tcp);
            all.secrets.extend_from_slice(&grant.secrets);
            join(&mut all.reads, &grant.reads);
            join(&mut all.publishes, &grant.publishes);
        }
        all
    }
}

fn join(all: &mut Option<Vec<String>>, more: &Option<Vec<String>>) {
    if let Some(more) = more {
        all.get_or_insert_default().extend_from_slice(more);
    }
}

/// Puts asks and grants together: everything that is asked for has to be granted, and everything that is imported asked for.
pub fn decide(
    descriptor: &Descriptor,
    imports: &[String],
    grant: &Grant,
    settings: &BTreeMap<String, String>,
) -> Result<Granted, Vec<Missing>> {
    let Capabilities { http, tcp, config, secrets } = &descriptor.capabilities;
    let mut missing = missing_asks(descriptor, imports);
    let mut granted = Granted { config: config.clone(), secrets: secrets.clone(), ..Granted::default() };
    for ask in http {
        match server(&ask.origin, settings) {
            Ok(origin) => granted.http.extend(origin.map(|origin| (origin, ask.methods.clone()))),
            Err(error) => missing.push(error),
        }
    }
    for at in tcp {
        match server(at, settings) {
            Ok(at) => granted.tcp.extend(at),
            Err(error) => missing.push(error),
        }
    }
    missing.extend(missing_grants(descriptor, &granted, grant));
    if missing.is_empty() { Ok(granted) } else { Err(missing) }
}

/// The server that is asked for; none if it is left to a setting that is not there.
fn server<T: FromStr<Err = ServerError> + Clone>(
    asked: &Server<T>,
    settings: &BTreeMap<String, String>,
) -> Result<Option<T>, Missing> {
    match asked {
        Server::Known(server) => Ok(Some(server.clone())),
        Server::Setting(name) => {
            let server = settings.get(name).map(|text| text.parse()).transpose();
            server.map_err(|error| Missing::Server { setting: name.clone(), error })
        }
    }
}

fn missing_asks(descriptor: &Descriptor, imports: &[String]) -> Vec<Missing> {
    let Capabilities { http, secrets, .. } = &descriptor.capabilities;
    let http = (
        "HTTP server",
        r#"http("https://api.example.com")"#,
        r#"http = ["https://api.example.com"]"#,
        http.is_empty(),
    );
    let secrets = ("secret", r#"secrets("api-key")"#, r#"secrets = ["api-key"]"#, secrets.is_empty());
    let needs = [(HTTP_IMPORT, http), (SECRETS_IMPORT, secrets)];
    let missing =
        needs.into_iter().filter(|(import, (.., lacks))| *lacks && imports.iter().any(|name| name == import));
    let ask = |(import, (what, example, line, _))| Missing::Ask {
        processor: descriptor.name.to_string(),
        import,
        what,
        example,
        line,
    };
    missing.map(ask).collect()
}

fn missing_grants(descriptor: &Descriptor, asked: &Granted, grant: &Grant) -> Vec<Missing> {
    let lacks = |what: String, key: &'static str, value: String| Missing::Grant {
        processor: descriptor.name.to_string(),
        what,
        key,
        value,
    };
    let mut missing = Vec::new();
    let Granted { http, tcp, secrets, .. } = asked;
    let patterns: Vec<_> = grant.http.iter().filter_map(|text| HttpPattern::read(text)).collect();
    for (origin, methods) in http {
        for method in
            methods.iter().filter(|method| !patterns.iter().any(|pattern| pattern.grants(method, origin)))
        {
            missing.push(lacks(format!("{method} {origin}"), "http", format!("{method} {origin}")));
        }
    }
    let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
    for at in tcp.iter().filter(|at| !grant.tcp.iter().any(|pattern| opens(pattern, at))) {
        missing.push(lacks(format!("a connection to {at}"), "tcp", at.to_string()));
    }
    for secret in secrets.iter().filter(|secret| !any(&grant.secrets, secret)) {
        missing.push(lacks(format!("the secret '{secret}'"), "secrets", secret.clone()));
    }
    let channels = |patterns: &Option<Vec<String>>, name: &str| {
        patterns.as_ref().is_none_or(|patterns| any(patterns, name))
    };
    for ask in descriptor.subscriptions.iter().filter(|ask| !channels(&grant.reads, ask.channel.as_str())) {
        missing.push(lacks(format!("the events of '{}'", ask.channel), "reads", ask.channel.to_string()));
    }
    for channel in descriptor.publishes.iter().filter(|channel| !channels(&grant.publishes, channel.as_str()))
    {
        missing.push(lacks(format!("to publish on '{channel}'"), "publishes", channel.to_string()));
    }
    missing
}

/// Whether a pattern stands for a server. An address of this machine or of a private network has to stand there itself: no star means it.
fn opens(pattern: &str, at: &Endpoint) -> bool {
    let host = pattern.rsplit_once(':').map_or(pattern, |(host, _)| host);
    let is_named = !host.contains('*') || at.address().is_none_or(is_public);
    is_named && matches(pattern, &at.to_string())
}

/// Whether a pattern stands for a text: `*` stands for any characters, all else for itself.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            match rest.split_once(part) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

impl Granted {
    /// Whether it acts outside of a sandbox.
    pub fn reaches_outside(&self) -> bool {
        !self.http.is_empty() || self.has_tcp()
    }

    /// Whether a request may be made.
    pub fn allows_http(&self, method: &str, origin: &Origin) -> bool {
        let asks = self.http.iter().filter(|(granted, _)| granted == origin);
        asks.flat_map(|(_, methods)| methods).any(|granted| granted == method)
    }

    /// Whether a connection may be made.
    pub fn allows_tcp(&self, at: &Endpoint) -> bool {
        self.tcp.contains(at)
    }

    /// The ports on which a host may be reached by TCP.
    pub fn tcp_ports(&self, host: &str) -> Vec<u16> {
        self.tcp.iter().filter(|at| at.host == host).map(|at| at.port).collect()
    }

    /// Whether there is any server that may be reached by TCP.
    pub fn has_tcp(&self) -> bool {
        !self.tcp.is_empty()
    }

    /// Whether a secret may be read.
    pub fn allows_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret == name)
    }

    /// Whether a setting may be read.
    pub fn allows_config(&self, name: &str) -> bool {
        self.config.is_empty() || self.config.iter().any(|setting| setting == name)
    }
}

/// Whether an address may be reached that stands for a host which may: everybody's addresses, and of all others only the one that the host's
/// name is.
pub fn allows_address(host: &Endpoint, address: IpAddr) -> bool {
    is_public(address) || host.address() == Some(address)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn descriptor(capabilities: &str) -> Descriptor {
        let json = format!(
            r#"{{"contract":"baton:processor@0.1.0","name":"payment","version":"1","subscriptions":[{{"channel":"orders"}}],
                "publishes":["paid"],"capabilities":{capabilities}}}"#
        );
        Descriptor::from_json(json.as_bytes()).unwrap()
    }

    fn grants(sections: &[(&str, Grant)]) -> Grants {
        Grants(sections.iter().map(|(name, grant)| ((*name).to_owned(), grant.clone())).collect())
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn missing(capabilities: &str, imports: &[&str], grants: &Grants) -> Vec<String> {
        let settings =
            BTreeMap::from([("smtp".to_owned(), "m:25".to_owned()), ("bad".to_owned(), "m".to_owned())]);
        let decided = decide(&descriptor(capabilities), &texts(imports), &grants.of("payment"), &settings);
        decided.err().unwrap_or_default().iter().map(Missing::to_string).collect()
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in
            [("*", ""), ("*", "x"), ("a*", "ab"), ("*.b", "a.b"), ("a*c*e", "abcde"), ("a", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("a*", "b"), ("*.b", "b"), ("a*c", "ab"), ("ab*ba", "aba"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn without_grants_all_channels_and_nothing_outside() {
        assert!(missing("{}", &[], &Grants::default()).is_empty());
        let asks = r#"{"http":[{"origin":"https://api.example.com","methods":["GET","POST"]}],"tcp":["m:25"],"secrets":["key"]}"#;
        let told = missing(asks, &[], &Grants::default());
        assert_eq!(told.len(), 4);
        assert!(
            told[1].contains(r#"under [grants.payment]: http = ["POST https://api.example.com"]"#),
            "{told:?}"
        );
        assert!(
            told[2].contains(r#"tcp = ["m:25"]"#) && told[3].contains(r#"secrets = ["key"]"#),
            "{told:?}"
        );
    }

    #[test]
    fn all_that_is_missing_is_one_section_to_add() {
        let asks = r#"{"http":[{"origin":"https://a","methods":["GET","POST"]}],"secrets":["key"]}"#;
        let missing = decide(&descriptor(asks), &[], &Grant::default(), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            told(&missing),
            "it asks for GET https://a, POST https://a, the secret 'key', which is not granted; to grant it, write in baton.toml under \
             [grants.payment]: http = [\"GET https://a\", \"POST https://a\"], and secrets = [\"key\"]"
        );
    }

    #[test]
    fn what_is_imported_has_to_be_asked_for() {
        let told = missing("{}", &[HTTP_IMPORT, "wasi:io/poll@0.2.6", SECRETS_IMPORT], &Grants::default());
        assert!(told[0].contains("'baton:processor/http@0.1.0' and asks for no HTTP server"), "{told:?}");
        assert!(
            told[0].contains(r#"under [grants.payment]: http = ["https://api.example.com"]"#),
            "{told:?}"
        );
        assert!(told[1].contains("asks for no secret"), "{told:?}");
    }

    #[test]
    fn grants_are_patterns_and_add_up_over_sections() {
        let http = |http: &[&str]| Grant { http: texts(http), ..Grant::default() };
        let asks = r#"{"http":[{"origin":"https://api.example.com","methods":["GET","POST"]}]}"#;
        for granted in [
            grants(&[("payment", http(&["https://api.example.com"]))]),
            grants(&[
                ("pay*", http(&["GET https://*.example.com:*"])),
                ("payment", http(&["POST https://*"])),
            ]),
        ] {
            assert!(missing(asks, &[HTTP_IMPORT], &granted).is_empty(), "{granted:?}");
        }
        for refused in [
            grants(&[("payment", http(&["http://api.example.com"]))]),
            grants(&[("payment", http(&["https://api.example.com:8443"]))]),
            grants(&[("payment", http(&["https://example.com", "PUT https://*"]))]),
            grants(&[("other", http(&["https://*"]))]),
            grants(&[(DEFAULT, http(&["https://*"]))]),
        ] {
            assert_eq!(missing(asks, &[HTTP_IMPORT], &refused).len(), 2, "{refused:?}");
        }
    }

    #[test]
    fn no_star_opens_an_address_of_this_machine_or_of_a_private_network() {
        let grant = |http: &str, tcp: &str| {
            grants(&[("payment", Grant { http: texts(&[http]), tcp: texts(&[tcp]), ..Grant::default() })])
        };
        let asks = r#"{"http":[{"origin":"http://169.254.169.254"}],"tcp":["[::1]:25"]}"#;
        assert_eq!(missing(asks, &[], &grant("http://*:*", "*:*")).len(), 2);
        assert_eq!(missing(asks, &[], &grant("http://169.254.*", "[::*]:25")).len(), 2);
        assert!(missing(asks, &[], &grant("http://169.254.169.254:*", "[::1]:*")).is_empty());
        let public = r#"{"http":[{"origin":"http://93.184.216.34"}]}"#;
        assert!(missing(public, &[], &grant("http://*", "m:1")).is_empty());
    }

    #[test]
    fn a_server_may_be_left_to_a_setting() {
        let tcp = |tcp: &str| grants(&[("payment", Grant { tcp: texts(&[tcp]), ..Grant::default() })]);
        assert!(missing(r#"{"tcp":["{smtp}"]}"#, &[], &tcp("m:*")).is_empty());
        let told = missing(r#"{"tcp":["{smtp}"]}"#, &[], &Grants::default());
        assert!(told[0].contains(r#"tcp = ["m:25"]"#), "{told:?}");
        assert!(missing(r#"{"tcp":["{unset}"]}"#, &[], &Grants::default()).is_empty());
        let told = missing(r#"{"tcp":["{bad}"]}"#, &[], &tcp("*:*"));
        assert!(told[0].contains("setting 'bad'") && told[0].contains("HOST:PORT"), "{told:?}");
    }

    #[test]
    fn channels_are_narrowed_for_all_and_opened_again_for_one() {
        let narrow = Grant { publishes: Some(Vec::new()), reads: Some(texts(&["ord*"])), ..Grant::default() };
        let all = grants(&[(DEFAULT, narrow.clone())]);
        let told = missing("{}", &[], &all);
        assert!(told.len() == 1 && told[0].contains(r#"publishes = ["paid"]"#), "{told:?}");
        let own = Grant { publishes: Some(texts(&["paid"])), ..Grant::default() };
        assert!(missing("{}", &[], &grants(&[(DEFAULT, narrow), ("payment", own)])).is_empty());
    }

    #[test]
    fn a_grant_that_grants_nothing_is_told() {
        let fault = |http: &str, tcp: &str| {
            Grant { http: texts(&[http]), tcp: texts(&[tcp]), ..Grant::default() }.fault().map(|(key, _)| key)
        };
        assert_eq!(fault("https://x", "m:25"), None);
        for bad in ["x", "ftp://x", "get https://x", "https://", "https://x/path"] {
            assert_eq!(fault(bad, "m:25"), Some("http"), "{bad}");
        }
        assert_eq!(fault("https://x", "m"), Some("tcp"));
    }

    #[test]
    fn what_is_granted_is_what_was_asked_for_and_no_more() {
        let asks =
            r#"{"http":[{"origin":"https://a"}],"tcp":["m:25","m:587"],"secrets":["key"],"config":["from"]}"#;
        let grant = Grant {
            http: texts(&["https://*"]),
            tcp: texts(&["*:*"]),
            secrets: texts(&["*"]),
            ..Grant::default()
        };
        let granted = decide(&descriptor(asks), &[], &grant, &BTreeMap::new()).unwrap();
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert!(granted.allows_http("GET", &origin("https://a")));
        assert!(
            !granted.allows_http("POST", &origin("https://a"))
                && !granted.allows_http("GET", &origin("https://b"))
        );
        assert_eq!((granted.tcp_ports("m"), granted.tcp_ports("n")), (vec![25, 587], vec![]));
        assert!(granted.allows_secret("key") && !granted.allows_secret("other"));
        assert!(granted.allows_config("from") && !granted.allows_config("to"));
    }

    #[test]
    fn a_private_address_is_reached_only_by_itself() {
        let at = |text: &str| text.parse::<Endpoint>().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(allows_address(&at("api.example.com:443"), address("93.184.216.34")));
        assert!(!allows_address(&at("localhost:80"), address("127.0.0.1")));
        assert!(allows_address(&at("127.0.0.1:80"), address("127.0.0.1")));
        assert!(!allows_address(&at("127.0.0.1:80"), address("127.0.0.2")));
    }
}
