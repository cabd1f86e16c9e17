//! Tries everything that a standard library offers, as its events say: each way must end in a fault or come to nothing.

use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct Task {
    way: String,
    #[serde(default)]
    port: u16,
}

#[processor(
    name = "rogue",
    description = "Tries everything that a standard library offers.",
    subscribe("rogue", retry(attempts = 1)),
    publishes("rogue-done")
)]
fn work(event: Event<Task>, cx: &mut Context) -> Handled {
    let Task { way, port } = event.data();
    let came_of_it = match way.as_str() {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => panic_long(),
        "forget" => forget(),
        "sleep" => sleep(),
        "read" => read(),
        "busy-wait" => busy_wait(),
        "connect" => connect(("127.0.0.1", *port)),
        "by-name" => connect(("localhost", *port)),
        "mapped" => connect(("::ffff:127.0.0.1", *port)),
        "sockets" => sockets(),
        "files" => files(),
        "environment" => environment(),
        "threads" => threads(),
        _ => String::new(),
    };
    cx.emit("rogue-done").json(&came_of_it)
}

/// 10 MB of words, with what would steer a terminal.
#[allow(clippy::panic)]
fn panic_long() -> String {
    panic!("{}", "\x1b[31mno way \n".repeat(1_000_000))
}

/// Keeps everything that it ever took.
fn forget() -> String {
    loop {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
    }
}

/// A day of sleep moves nothing but the guest's own clock.
fn sleep() -> String {
    std::thread::sleep(Duration::from_secs(86_400));
    "slept".to_owned()
}

fn read() -> String {
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    format!("{:?}", read.map_err(|error| error.kind()))
}

/// The clock stands still while it looks at it.
fn busy_wait() -> String {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {}
    "waited".to_owned()
}

fn connect(address: impl ToSocketAddrs) -> String {
    match TcpStream::connect(address) {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("refused: {error}"),
    }
}

/// A thousand of each kind.
fn sockets() -> String {
    let mut open = 0;
    for port in 1..1000 {
        open += usize::from(TcpListener::bind(("0.0.0.0", port)).is_ok());
        open += usize::from(UdpSocket::bind(("0.0.0.0", port)).is_ok());
        open += usize::from(TcpStream::connect(("10.0.0.1", port)).is_ok());
    }
    format!("{open} open")
}

fn files() -> String {
    let tried = ["/etc/passwd", ".", "/proc/self/environ", "../baton.toml"];
    let open = tried.iter().filter(|path| std::fs::File::open(path).is_ok()).count();
    let made = std::fs::write("/tmp/rogue", b"was here").is_ok();
    format!("{open} open, made: {made}")
}

fn environment() -> String {
    format!("{} variables, {} arguments", std::env::vars().count(), std::env::args().count())
}

fn threads() -> String {
    let begun = std::thread::Builder::new().spawn(|| ());
    format!("began: {}", begun.is_ok())
}
