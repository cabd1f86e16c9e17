//! What stands between the parentheses of `#[processor(..)]`, read and checked token by token.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitInt, LitStr, Result, Token, parenthesized};

use crate::check::{self, key, name, one_of, within};
use crate::filter::Filter;
use crate::schema::Schema;

/// What a processor says of itself.
#[derive(Default)]
pub struct Ask {
    pub name: String,
    pub description: String,
    pub subscriptions: Vec<Subscription>,
    pub publishes: Vec<String>,
    pub concurrency: Option<u64>,
    pub limits: BTreeMap<&'static str, u64>,
    pub instance: Option<String>,
    pub schemas: Vec<Schema>,
    pub capabilities: Capabilities,
    key: Option<String>,
}

/// What is asked for beside events and state, as `host/src/model/capability.rs` reads it.
#[derive(Default)]
pub struct Capabilities {
    pub http: Vec<Http>,
    pub tcp: Vec<String>,
    pub config: Vec<String>,
    pub secrets: Vec<String>,
}

/// One `http(..)`.
pub struct Http {
    pub origin: String,
    pub methods: Vec<String>,
}

/// How failed events are tried again, as `host/src/model/retry.rs` reads it.
#[derive(Default)]
pub struct Retry(pub serde_json::Map<String, serde_json::Value>);

/// One `subscribe(..)`.
pub struct Subscription {
    pub channel: String,
    pub key: Option<String>,
    pub start: Option<Start>,
    pub filter: Option<Filter>,
    pub retry: Retry,
    pub then: Option<String>,
    pub order: Option<String>,
}

/// Where a subscription begins, when it says so.
pub enum Start {
    Named(String),
    Offset(u64),
    Time(String),
}

impl Parse for Ask {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut ask = Self::default();
        let mut seen = Vec::<Ident>::new();
        items(input, |word, input| {
            if !["subscribe", "schema", "http", "tcp"].iter().any(|many| word == many) {
                once(&mut seen, word)?;
            }
            ask.take(word, input)
        })?;
        ask.finish()
    }
}

impl Ask {
    fn take(&mut self, word: &Ident, input: ParseStream) -> Result<()> {
        match word.to_string().as_str() {
            "name" => self.name = name(&value(input)?, "processor")?,
            "description" => self.description = value::<LitStr>(input)?.value(),
            "key" => self.key = Some(key(&value(input)?)?),
            "concurrency" => self.concurrency = Some(within(&value(input)?, (1, check::CONCURRENCY_MAX))?),
            "instance" => self.instance = Some(one_of(&value(input)?, &["warm", "fresh"])?),
            "publishes" => self.publishes = channels(input)?,
            "subscribe" => self.subscribe(input)?,
            "limits" => self.limits(input)?,
            "schema" => self.schema(input)?,
            "http" => self.http(input)?,
            "tcp" => self.capabilities.tcp.extend(texts(input, check::endpoint)?),
            "config" => self.capabilities.config = texts(input, check::setting)?,
            "secrets" => self.capabilities.secrets = texts(input, check::setting)?,
            _ => {
                return Err(unknown(
                    word,
                    "name, description, subscribe, publishes, schema, key, concurrency, limits, instance, http, tcp, config or secrets",
                ));
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, input: ParseStream) -> Result<()> {
        let content;
        parenthesized!(content in input);
        let literal: LitStr = content.parse()?;
        let channel = name(&literal, "channel")?;
        if self.subscriptions.iter().any(|other| other.channel == channel) {
            return Err(Error::new(literal.span(), format!("'{channel}' is there twice; keep one")));
        }
        if self.subscriptions.len() == check::SUBSCRIPTIONS_MAX {
            let why = format!("a processor subscribes to {} channels at most", check::SUBSCRIPTIONS_MAX);
            return Err(Error::new(literal.span(), why));
        }
        let mut subscription = Subscription {
            channel,
            key: None,
            start: None,
            filter: None,
            retry: Retry::default(),
            then: None,
            order: None,
        };
        comma(&content)?;
        let mut seen = Vec::new();
        items(&content, |word, input| {
            once(&mut seen, word)?;
            subscription.take(word, input)
        })?;
        self.subscriptions.push(subscription);
        Ok(())
    }

    /// `http("https://api.example.com", methods("GET", "POST"))`
    fn http(&mut self, input: ParseStream) -> Result<()> {
        let content;
        parenthesized!(content in input);
        let origin = check::origin(&content.parse()?)?;
        comma(&content)?;
        let mut methods = vec!["GET".to_owned()];
        items(&content, |word, input| {
            if word != "methods" {
                return Err(unknown(word, "methods"));
            }
            methods = texts(input, |literal| one_of(literal, &check::METHODS))?;
            Ok(())
        })?;
        self.capabilities.http.push(Http { origin, methods });
        Ok(())
    }

    fn schema(&mut self, input: ParseStream) -> Result<()> {
        let content;
        parenthesized!(content in input);
        let channel: LitStr = content.parse()?;
        content.parse::<Token![,]>()?;
        let file: LitStr = content.parse()?;
        comma(&content)?;
        if self.schemas.iter().any(|other| other.channel.value() == channel.value()) {
            let why = format!("'{}' has a schema already; keep one", channel.value());
            return Err(Error::new(channel.span(), why));
        }
        self.schemas.push(Schema::read(channel, &file)?);
        Ok(())
    }

    fn limits(&mut self, input: ParseStream) -> Result<()> {
        let content;
        parenthesized!(content in input);
        items(&content, |word, input| {
            let known = check::LIMITS.iter().find(|(name, _)| word == name);
            let Some((name, range)) = known else {
                let names = check::LIMITS.map(|(name, _)| name).join(", ");
                return Err(unknown(word, &names));
            };
            self.limits.insert(name, within(&value(input)?, *range)?);
            Ok(())
        })
    }

    fn finish(mut self) -> Result<Self> {
        let refuse = |why| Err(Error::new(Span::call_site(), why));
        if self.name.is_empty() {
            return refuse("say the processor's name: name = \"order-placement\"");
        }
        if self.subscriptions.is_empty() {
            return refuse("say which channel's events it handles: subscribe(\"place-order\")");
        }
        for Schema { channel, .. } in &self.schemas {
            let name = channel.value();
            if !self.publishes.contains(&name) && !self.subscriptions.iter().any(|s| s.channel == name) {
                let why = format!("'{name}' is neither in publishes(..) nor in a subscribe(..)");
                return Err(Error::new(channel.span(), why));
            }
        }
        for subscription in &mut self.subscriptions {
            if subscription.key.is_none() {
                subscription.key.clone_from(&self.key);
            }
        }
        Ok(self)
    }
}

impl Subscription {
    fn take(&mut self, word: &Ident, input: ParseStream) -> Result<()> {
        match word.to_string().as_str() {
            "key" => self.key = Some(key(&value(input)?)?),
            "start" => self.start = Some(value(input)?),
            "filter" => self.filter = Some(value(input)?),
            "retry" => self.retry = retry(input)?,
            "then" => self.then = Some(one_of(&value(input)?, &["continue", "stay-held"])?),
            "order" => self.order = Some(one_of(&value(input)?, &["key", "pass"])?),
            _ => return Err(unknown(word, "key, start, filter, retry, then or order")),
        }
        Ok(())
    }
}

impl Parse for Start {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.peek(LitInt) {
            return Ok(Self::Offset(input.parse::<LitInt>()?.base10_parse()?));
        }
        let literal = match input.parse::<Option<Ident>>()? {
            Some(word) => LitStr::new(&word.to_string(), word.span()),
            None => input.parse()?,
        };
        match literal.value() {
            time if time.starts_with(|c: char| c.is_ascii_digit()) => check::time(&literal).map(Self::Time),
            _ => one_of(&literal, &["earliest", "latest"]).map(Self::Named),
        }
    }
}

/// `retry(attempts = 3, delay = "1s", factor = 2.0, delay_max = "1m", jitter_percent = 20, total = "1h", on("retry", "trap"))`
fn retry(input: ParseStream) -> Result<Retry> {
    let content;
    parenthesized!(content in input);
    let mut retry = Retry::default();
    let mut seen = Vec::new();
    items(&content, |word, input| {
        once(&mut seen, word)?;
        let (field, value) = match word.to_string().as_str() {
            "attempts" => ("attempts_max", within(&value(input)?, (1, check::ATTEMPTS_MAX))?.into()),
            "delay" => ("delay_ms", check::duration_ms(&value(input)?)?.into()),
            "delay_max" => ("delay_ms_max", check::duration_ms(&value(input)?)?.into()),
            "total" => ("total_ms_max", check::duration_ms(&value(input)?)?.into()),
            "jitter_percent" => ("jitter_percent", within(&value(input)?, (0, 100))?.into()),
            "factor" => ("factor", check::factor(&value(input)?)?.into()),
            "on" => ("on", check::faults(&words(input)?)?.into()),
            _ => {
                let known = "attempts, delay, factor, delay_max, jitter_percent, total or on";
                return Err(unknown(word, known));
            }
        };
        retry.0.insert(field.to_owned(), value);
        Ok(())
    })?;
    Ok(retry)
}

fn texts(input: ParseStream, check: impl Fn(&LitStr) -> Result<String>) -> Result<Vec<String>> {
    words(input)?.iter().map(check).collect()
}

fn words(input: ParseStream) -> Result<Vec<LitStr>> {
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// Reads items that begin with a word, separated by commas.
fn items(input: ParseStream, mut item: impl FnMut(&Ident, ParseStream) -> Result<()>) -> Result<()> {
    while !input.is_empty() {
        let word: Ident = input.parse()?;
        item(&word, input)?;
        comma(input)?;
    }
    Ok(())
}

fn comma(input: ParseStream) -> Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

fn value<T: Parse>(input: ParseStream) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn once(seen: &mut Vec<Ident>, word: &Ident) -> Result<()> {
    if seen.contains(word) {
        return Err(Error::new(word.span(), format!("'{word}' is there twice; keep one")));
    }
    seen.push(word.clone());
    Ok(())
}

fn unknown(word: &Ident, known: &str) -> Error {
    Error::new(word.span(), format!("'{word}' is not known here; use {known}"))
}

fn channels(input: ParseStream) -> Result<Vec<String>> {
    let content;
    parenthesized!(content in input);
    let mut channels = Vec::new();
    for literal in Punctuated::<LitStr, Token![,]>::parse_terminated(&content)? {
        let channel = name(&literal, "channel")?;
        if channels.contains(&channel) {
            return Err(Error::new(literal.span(), format!("'{channel}' is there twice; keep one")));
        }
        channels.push(channel);
    }
    Ok(channels)
}
