//! A host to test against: inside the test's process for most, as a process of its own where signals and crashes matter.

use std::io::BufReader;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use baton::config::Config;
use baton::node::Node;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::http::{Http, TOKEN};
use crate::wait::eventually;
use crate::{compiled, guests};

/// The folder of a host. It outlives the hosts that run on it one after another.
pub struct Shop {
    dir: TempDir,
    program: PathBuf,
}

impl Shop {
    /// An empty folder; `program` is the `baton` of the command line.
    pub fn new(program: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("processors")).unwrap();
        Self { dir, program: program.into() }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the host keeps its data.
    pub fn data(&self) -> PathBuf {
        self.dir().join(".baton")
    }

    /// Where a processor's file stands.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir().join("processors").join(format!("{name}.wasm"))
    }

    /// Copies a file in as careful people do: under another name, then renamed.
    pub fn drop_in(&self, name: &str, bytes: &[u8]) {
        let part = self.dir().join("processors").join(format!(".{name}.part"));
        std::fs::write(&part, bytes).unwrap();
        std::fs::rename(part, self.file(name)).unwrap();
    }

    /// Copies the seven of the bookshop in.
    pub fn open_bookshop(&self) {
        for name in guests::BOOKSHOP {
            self.drop_in(name, &guests::component(name));
        }
    }

    /// Starts a host inside this process.
    pub fn start(&self) -> Host {
        self.try_start().unwrap_or_else(|error| panic!("the host did not start: {error}"))
    }

    /// Starts a host inside this process, or says why not.
    pub fn try_start(&self) -> Result<Host, String> {
        let config = Config::load(self.dir()).unwrap();
        compiled::lend(&self.data());
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, start) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let node = match Node::builder().config(config).compile_in_process().start().await {
                    Ok(node) => node,
                    Err(error) => return started.send(Err(error.to_string())).unwrap(),
                };
                node.admit_local(TOKEN);
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                started.send(Ok(format!("http://{}", listener.local_addr().unwrap()))).unwrap();
                baton::api::serve(listener, node.clone(), async { drop(stopped.await) }).await;
                node.stop().await;
            });
        });
        let url = start.recv().unwrap()?;
        Ok(Host { http: Http::new(url), running: Some(Running::Inside { stop, thread }) })
    }

    /// Starts the program as a process.
    pub fn spawn(&self) -> Host {
        self.spawned(self.command(&["serve", "--json", "--listen", "127.0.0.1:0"]))
    }

    /// Starts the program as a process that has no token but the one in the user's folder of settings.
    pub fn spawn_as_user(&self, config: &Path) -> Host {
        let mut command = self.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
        command.env_remove("BATON_TOKEN").env("XDG_CONFIG_HOME", config);
        self.spawned(command)
    }

    fn spawned(&self, mut command: Command) -> Host {
        compiled::lend(&self.data());
        let log = std::fs::File::create(self.dir().join("log")).unwrap();
        let mut child = command.arg(self.dir()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let said = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>().next();
        let Some(Ok(said)) = said else { panic!("the host did not start: {}", self.log()) };
        let url = said["listening"].as_str().unwrap().to_owned();
        Host { http: Http::new(url), running: Some(Running::Process(child)) }
    }

    /// What the process wrote to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("log")).unwrap()
    }

    /// The program with arguments, and nothing of this process's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in ["BATON_SERVER", "BATON_LISTEN", "BATON_DATA", "BATON_LOG", "RUST_LOG"] {
            command.env_remove(name);
        }
        // What wraps or instruments the tests' own build is not for guests that the program builds; what is built already is found.
        for name in guests::NOT_FOR_GUESTS {
            command.env_remove(name);
        }
        command.env("BATON_TOKEN", TOKEN).env("CARGO_TARGET_DIR", guests::target_folder());
        command.env("XDG_CACHE_HOME", guests::target_folder());
        command.args(arguments).current_dir(self.dir()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            compiled::keep(&self.data());
        }
    }
}

/// A running host; ends with its value.
pub struct Host {
    http: Http,
    running: Option<Running>,
}

enum Running {
    Inside { stop: oneshot::Sender<()>, thread: JoinHandle<()> },
    Process(Child),
}

impl Deref for Host {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.http
    }
}

impl Host {
    /// Waits until these processors run.
    pub fn await_running(&self, names: &[&str]) {
        for name in names {
            eventually(&format!("{name} runs"), || {
                (self.processor(name)["status"] == "running").then_some(())
            });
        }
    }

    /// Waits until a processor runs another version than `digest`, and gives its digest.
    pub fn await_other_than(&self, name: &str, digest: &str) -> String {
        eventually(&format!("another {name} runs"), || {
            let processor = self.processor(name);
            let now = processor["digest"].as_str()?;
            (processor["status"] == "running" && now != digest).then(|| now.to_owned())
        })
    }

    /// Waits until a flow is done, and gives its report.
    pub fn await_done(&self, flow: &str) -> Value {
        eventually(&format!("the flow {flow} is done"), || {
            let report = self.get(&format!("/v1/flows/{flow}")).expect(200);
            (report["status"] == "done").then_some(report)
        })
    }

    /// Waits until every subscription of every processor has decided all that its channel has.
    pub fn await_quiet(&self) {
        eventually("nothing is left to do", || {
            let processors = self.get("/v1/processors").expect(200);
            let all = processors["processors"].as_array()?;
            let lag = |p: &Value| -> u64 {
                p["subscriptions"].as_array().into_iter().flatten().filter_map(|s| s["lag"].as_u64()).sum()
            };
            (all.iter().filter(|p| p["status"] != "undeployed").map(lag).sum::<u64>() == 0).then_some(())
        });
    }

    /// The number of its process; none inside this one.
    pub fn pid(&self) -> Option<u32> {
        match &self.running {
            Some(Running::Process(child)) => Some(child.id()),
            _ => None,
        }
    }

    /// Ends it in order.
    pub fn stop(mut self) {
        self.end();
    }

    /// Ends the process as a crash does, in the middle of whatever it does.
    pub fn kill(mut self) {
        let Some(Running::Process(mut child)) = self.running.take() else {
            panic!("only a process can be killed")
        };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends SIGTERM and gives the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let Some(Running::Process(mut child)) = self.running.take() else {
            panic!("only a process gets signals")
        };
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait().unwrap().code()
    }

    fn end(&mut self) {
        match self.running.take() {
            Some(Running::Inside { stop, thread }) => {
                let _ = stop.send(());
                let _ = thread.join();
            }
            Some(Running::Process(mut child)) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            None => {}
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}
