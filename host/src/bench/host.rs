//! A host as a process of its own, as an operator starts it, and its HTTP interface: for what only a whole process shows. It ends
//! no process but its own.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::access::secret;

use super::Error;
use super::report::Durability;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How often it is asked for what takes a while.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running host.
pub struct Host {
    child: Option<Child>,
    url: String,
    agent: ureq::Agent,
    /// The header that says who asks.
    authorization: String,
}

/// Makes the folder of a host.
pub fn prepare(folder: &Path, durability: Durability) -> Result<(), Error> {
    let class = if durability == Durability::Os { "os" } else { "fsync" };
    fs::create_dir_all(folder.join("processors"))?;
    Ok(fs::write(folder.join("baton.toml"), format!("[journal]\ndurability = \"{class}\"\n"))?)
}

impl Host {
    /// Starts the program that measures once more, on a folder; says how long it took until it listened.
    pub fn start(folder: &Path) -> Result<(Self, Duration), Error> {
        let token = secret()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--json", "--listen", "127.0.0.1:0"]).arg(folder);
        command
            .env_remove("BATON_DATA")
            .env_remove("BATON_LISTEN")
            .env("BATON_TOKEN", &token)
            .env("BATON_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command.stderr(File::create(folder.join("log"))?);
        let began = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let said = stdout
            .and_then(|out| serde_json::Deserializer::from_reader(out).into_iter::<Value>().next()?.ok());
        let took = began.elapsed();
        let url = said.as_ref().and_then(|said| said.get("listening")?.as_str()).map(str::to_owned);
        let host = Self {
            child: Some(child),
            url: url.unwrap_or_default(),
            agent: ureq::Agent::new_with_defaults(),
            authorization: format!("Bearer {token}"),
        };
        if host.url.is_empty() {
            let why = fs::read_to_string(folder.join("log")).unwrap_or_default();
            return Err(Error::Host { why: format!("it did not start: {why}") });
        }
        Ok((host, took))
    }

    /// Asks for a report.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        let ask = self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.authorization);
        let mut answer = ask.call().map_err(|error| refused(path, &error))?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| refused(path, &error))?;
        serde_json::from_slice(&body).map_err(|error| Error::Host { why: format!("{path}: {error}") })
    }

    /// Publishes a batch in the CloudEvents JSON format and reads the answer, which comes when it is durable.
    pub fn publish(&self, channel: &str, batch: &str) -> Result<(), Error> {
        let path = format!("/v1/channels/{channel}/events");
        let ask = self.agent.post(format!("{}{path}", self.url));
        let ask = ask.header("authorization", &self.authorization);
        let ask = ask.header("content-type", "application/cloudevents-batch+json");
        let mut answer = ask.send(batch).map_err(|error| refused(&path, &error))?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        body.map(drop).map_err(|error| refused(&path, &error))
    }

    /// How many events a channel has.
    pub fn count(&self, channel: &str) -> Result<u64, Error> {
        let report = self.get(&format!("/v1/channels/{channel}"))?;
        Ok(report.get("next").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Asks until so many of something are there.
    pub fn await_count(
        &self,
        what: &str,
        wanted: usize,
        patience: Duration,
        count: impl Fn(&Self) -> Result<usize, Error>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let found = count(self)?;
            if found == wanted {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(Error::Host { why: format!("{found} of {wanted} {what} after {patience:?}") });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) -> Result<(), Error> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<(), Error> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        Command::new("kill").arg(child.id().to_string()).status()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let ended = child.kill().and_then(|()| child.wait());
        if let Err(error) = ended {
            tracing::warn!(%error, "a host of the benchmark stays");
        }
    }
}

fn refused(path: &str, error: &ureq::Error) -> Error {
    Error::Host { why: format!("{path}: {error}") }
}

/// The bytes of all files in a folder, and in those within it.
pub fn stored_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        Some(if meta.is_dir() { stored_bytes(&entry.path()) } else { meta.len() })
    });
    bytes.sum()
}
