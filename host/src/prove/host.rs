//! A host as a process of its own that is killed and started again at the same address. It ends no process but its own.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

use std::fs::{self, File};
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::access::secret;

use super::ProveError;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How long anything may take before the proof gives up.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How long to wait before asking again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Where the host of a proof is; its folder is gone in the end.
pub struct Site {
    folder: TempDir,
    listen: SocketAddr,
    token: String,
}

/// Asks the host of a site, whichever process that is now.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// A running process.
pub struct Process(Child);

impl Site {
    /// An empty folder and a free address.
    pub fn new() -> Result<Self, ProveError> {
        let folder = tempfile::Builder::new().prefix("baton-prove-").tempdir()?;
        fs::create_dir(folder.path().join("processors"))?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self { folder, listen, token: secret()? })
    }

    /// Copies a component in as careful people do: under another name, then renamed.
    pub fn drop_in(&self, name: &str, bytes: &[u8]) -> Result<(), ProveError> {
        let folder = self.folder.path().join("processors");
        let part = folder.join(format!(".{name}.part"));
        fs::write(&part, bytes)?;
        Ok(fs::rename(part, folder.join(format!("{name}.wasm")))?)
    }

    /// Writes a definition into the folder of mediators.
    pub fn drop_in_workflow(&self, name: &str, text: &str) -> Result<(), ProveError> {
        let folder = self.folder.path().join("mediators");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(format!("{name}.yaml")), text)?)
    }

    /// Starts this program as the host; says how long it took until it listened.
    pub fn start(&self) -> Result<(Process, Duration), ProveError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--json", "--listen", &self.listen.to_string()]).arg(self.folder.path());
        for name in ["BATON_DATA", "BATON_LISTEN"] {
            command.env_remove(name);
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        command.env("BATON_TOKEN", &self.token).env("BATON_LOG", "error").stdin(Stdio::null());
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let said =
            stdout.and_then(|out| serde_json::Deserializer::from_reader(out).into_iter::<Value>().next());
        let process = Process(child);
        match said {
            Some(Ok(_)) => Ok((process, began.elapsed())),
            _ => {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                Err(ProveError::Host(format!("it did not start: {log}")))
            }
        }
    }

    /// Who asks the host.
    pub fn client(&self) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Client {
            agent: config.build().into(),
            url: format!("http://{}", self.listen),
            authorization: format!("Bearer {}", self.token),
        }
    }

    fn log(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "log")
    }
}

impl Process {
    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(mut self) -> Result<(), ProveError> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        if let Err(error) = ended {
            tracing::warn!(%error, "a host of the proof stays");
        }
    }
}

impl Client {
    /// Asks for a report.
    pub fn get(&self, path: &str) -> Result<Value, ProveError> {
        let failed = |error: ureq::Error| ProveError::Host(format!("{path}: {error}"));
        let ask = self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.authorization);
        let mut answer = ask.call().map_err(failed)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        serde_json::from_slice(&body).map_err(|error| ProveError::Host(format!("{path}: {error}")))
    }

    /// Asks for something that is no JSON.
    pub fn text(&self, path: &str) -> Result<String, ProveError> {
        let failed = |error: ureq::Error| ProveError::Host(format!("{path}: {error}"));
        let ask = self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.authorization);
        ask.call()
            .map_err(failed)?
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(failed)
    }

    /// Publishes one event, and waits for one that it causes on another channel; true once it is there.
    pub fn publish_and_wait(&self, channel: &str, awaited: &str, event: &str) -> bool {
        let ask = self.agent.post(format!("{}/v1/channels/{channel}/events?wait={awaited}", self.url));
        let ask = ask.header("authorization", &self.authorization);
        let ask = ask.header("content-type", "application/cloudevents+json");
        ask.send(event).is_ok_and(|answer| answer.status() == 200)
    }

    /// Publishes a batch in the CloudEvents JSON format; true once the host has answered that it is durable. No answer says nothing.
    pub fn publish(&self, channel: &str, batch: &str) -> bool {
        let ask = self.agent.post(format!("{}/v1/channels/{channel}/events", self.url));
        let ask = ask.header("authorization", &self.authorization);
        let ask = ask.header("content-type", "application/cloudevents-batch+json");
        ask.send(batch).is_ok_and(|answer| answer.status() == 202)
    }

    /// Asks again and again until there is an answer.
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> Result<T, ProveError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ask(self) {
                return Ok(found);
            }
            if Instant::now() > until {
                return Err(ProveError::Host(format!("in vain for {} s: {what}", PATIENCE.as_secs())));
            }
            std::thread::sleep(AGAIN_AFTER);
        }
    }
}

/// The most that any subscription has left to do.
pub fn lag(client: &Client) -> Option<u64> {
    let all = client.get("/v1/subscriptions").ok()?;
    all["subscriptions"].as_array()?.iter().filter_map(|one| one["lag"].as_u64()).max()
}

/// Whether nothing is left to do.
pub fn is_quiet(client: &Client) -> Option<()> {
    (lag(client)? == 0).then_some(())
}

/// The next number of a sequence that a seed begins.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
