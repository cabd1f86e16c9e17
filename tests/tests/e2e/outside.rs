//! A processor reaches what it asked for and was granted, and nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

/// A server that tells what it was asked; it ends with the test's process.
struct Server {
    port: u16,
    asked: Receiver<String>,
}

/// How a server answers the first line and the headers of a request.
type Answer = fn(&str, &mut TcpStream);

fn serve(answer: Answer) -> Server {
    // The guest's asks have room for five digits.
    let listener = std::iter::repeat_with(|| TcpListener::bind("127.0.0.1:0").unwrap())
        .find(|listener| listener.local_addr().unwrap().port() >= 10_000)
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let asked = read_head(&stream);
            drop(tell.send(asked.clone()));
            answer(&asked, &mut stream);
        }
    });
    Server { port, asked }
}

/// A request's head, or one line of something else.
fn read_head(stream: &TcpStream) -> String {
    let (mut head, mut reader) = (String::new(), BufReader::new(stream));
    loop {
        let before = head.len();
        let count = reader.read_line(&mut head).unwrap_or(0);
        if count == 0 || !head.contains("HTTP/1.1") || head.get(before..) == Some("\r\n") {
            return head;
        }
    }
}

fn ok(_: &str, stream: &mut TcpStream) {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nx-from: server\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        .unwrap();
}

fn elsewhere(_: &str, stream: &mut TcpStream) {
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).unwrap();
}

fn echo(asked: &str, stream: &mut TcpStream) {
    stream.write_all(asked.as_bytes()).unwrap();
}

/// Reads on and says nothing, until the other side gives up.
fn silent(_: &str, stream: &mut TcpStream) {
    drop(stream.read(&mut [0; 64]));
}

/// The guest, with the port of a server in its asks.
fn guest(port: u16) -> Vec<u8> {
    let mut bytes = component("guest-outside");
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(5).position(|part| part == b"10001") {
        bytes[at + found..at + found + 5].copy_from_slice(port.to_string().as_bytes());
        at += found + 5;
    }
    bytes
}

const GRANTS: &str = "[grants.outside]\nhttp = [\"http://127.0.0.1:*\", \"GET http://localhost:*\"]\ntcp = [\"127.0.0.1:*\", \"local*:*\"]\nsecrets = [\"key\"]\n\
                      [secrets.key]\nfile = \"key.txt\"\n";

fn start(port: u16) -> (Shop, Host) {
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), GRANTS).unwrap();
    std::fs::write(shop.dir().join("key.txt"), "hunter22\n").unwrap();
    shop.drop_in("outside", &guest(port));
    let host = shop.start();
    host.await_running(&["outside"]);
    (shop, host)
}

/// Sends the guest out, and gives what it tells.
fn errand(host: &Host, id: &str, way: &str, to: &str) -> String {
    let errand = event(id, "errand", id, json!({"way": way, "to": to}));
    let answer = host.publish("errands", "?wait=errands-done", &errand).expect(200);
    answer["data"]["told"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn a_granted_server_is_called_with_a_key_that_names_the_event() {
    let server = serve(ok);
    let (_shop, host) = start(server.port);
    let url = format!("http://127.0.0.1:{}/path?q=1", server.port);
    assert_eq!(errand(&host, "1", "post", &url), "200 server hi");
    let asked = server.asked.recv().unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("post /path?q=1 http/1.1\r\n"), "{asked}");
    for line in ["x-errand: 1", "content-length: 6", "idempotency-key: \"outside/%2ftests/1/0\""] {
        assert!(asked.contains(line), "{asked}");
    }
    assert_eq!(errand(&host, "2", "get", &url), "200 server hi");
}

#[test]
fn nothing_else_is_reached_by_http() {
    let (server, other) = (serve(elsewhere), serve(ok));
    let (_shop, host) = start(server.port);
    let at = |host: &str, port: u16| format!("http://{host}:{port}/");
    let denied = |id: &str, way: &str, to: String, why: &str| {
        let told = errand(&host, id, way, &to);
        assert!(told.starts_with("Denied") && told.contains(why), "{told}");
    };
    denied("1", "get", at("127.0.0.1", other.port), "is not among what it asked for");
    denied("2", "put", at("127.0.0.1", server.port), "PUT http://127.0.0.1");
    denied("3", "get", at("localhost", server.port), "an address of this machine or of a private network");
    denied("4", "get", at("example.com", 80), "http://example.com is not among");
    assert_eq!(
        errand(&host, "5", "get", &at("127.0.0.1", server.port)),
        "302 nobody ",
        "a redirect is an answer"
    );
    assert!(errand(&host, "6", "get", "nonsense").starts_with("Invalid"));
    assert!(other.asked.try_recv().is_err(), "nobody came to the other server");
    assert_eq!(server.asked.iter().take(1).count(), 1);
    assert!(server.asked.try_recv().is_err(), "and one request to this one");
}

#[test]
fn sockets_reach_what_is_granted_and_a_name_does_not_stand_for_this_machine() {
    let (server, other) = (serve(echo), serve(echo));
    let (_shop, host) = start(server.port);
    assert_eq!(errand(&host, "1", "tcp", &format!("127.0.0.1:{}", server.port)), "echo");
    assert_eq!(errand(&host, "2", "tcp", &format!("127.0.0.1:{}", other.port)), "PermissionDenied");
    let by_name = errand(&host, "3", "tcp", &format!("localhost:{}", server.port));
    assert_ne!(by_name, "echo");
    let unknown = errand(&host, "4", "tcp", "example.com:80");
    assert_ne!(unknown, "echo");
    assert!(other.asked.try_recv().is_err());
}

#[test]
fn a_server_that_says_nothing_costs_a_call_its_time_and_nothing_more() {
    let server = serve(silent);
    let (_shop, host) = start(server.port);
    let quiet =
        event("1", "errand", "quiet", json!({"way": "tcp", "to": format!("127.0.0.1:{}", server.port)}));
    host.publish("errands", "", &quiet).expect(202);
    let held = eventually("the call's time is over", || {
        host.processor("outside")["held"][0]["fault"]["kind"].as_str().map(str::to_owned)
    });
    assert_eq!(held, "call-time");
    assert_eq!(errand(&host, "2", "secret", "key"), "8", "the processor goes on");
    let told = errand(&host, "3", "get", &format!("http://127.0.0.1:{}/", server.port));
    assert!(told.starts_with("Timeout"), "{told}");
}

#[test]
fn a_secret_is_read_and_shown_nowhere() {
    let server = serve(ok);
    let (_shop, host) = start(server.port);
    assert_eq!(errand(&host, "1", "secret", "key"), "8");
    assert_eq!(errand(&host, "2", "secret", "other"), "4", "none");
    host.publish("errands", "", &event("3", "errand", "x", json!({"way": "fail", "to": "key"}))).expect(202);
    eventually("it failed", || {
        host.processor("outside")["held"][0]["fault"]["message"].as_str().map(str::to_owned)
    });
    let pages =
        ["/v1/processors/outside/logs", "/v1/processors", "/v1/status", "/v1/deployments", "/metrics"];
    let all: Vec<String> = pages.iter().map(|page| host.get(page).text).collect();
    assert!(all.iter().all(|text| !text.contains("hunter22")), "{all:?}");
    assert!(all[0].contains("the secret is [secret key]") && all[1].contains("no: [secret key]"), "{all:?}");
}

#[test]
fn without_a_grant_it_is_not_run_and_the_line_to_add_is_named() {
    let shop = shop();
    shop.drop_in("outside", &guest(20_001));
    let host = shop.start();
    let problem = |code: &str| {
        eventually(code, || {
            let status = host.get("/v1/status").expect(200);
            let problems = status["problems"].as_array()?.clone();
            problems.into_iter().find(|problem| problem["code"] == code)
        })
    };
    let told = problem("not-granted")["message"].as_str().unwrap().to_owned();
    for line in [
        "write in baton.toml under [grants.outside]: http = [\"GET http://127.0.0.1:20001\", \"POST",
        "tcp = [\"127.0.0.1:20001\", \"localhost:20001\"]",
        "secrets = [\"key\"]",
    ] {
        assert!(told.contains(line), "{told}");
    }
    std::fs::write(shop.dir().join("key.txt"), "hunter22").unwrap();
    std::fs::write(shop.dir().join("baton.toml"), GRANTS).unwrap();
    host.await_running(&["outside"]);

    std::fs::write(
        shop.dir().join("baton.toml"),
        GRANTS.replace("tcp = [\"127.0.0.1:*\", \"local*:*\"]\n", ""),
    )
    .unwrap();
    let paused = eventually("what is not granted any more is paused", || {
        let processor: Value = host.processor("outside");
        (processor["status"] == "paused").then(|| processor["reason"].as_str().unwrap_or_default().to_owned())
    });
    assert!(paused.contains("not granted any more") && paused.contains("tcp = ["), "{paused}");
}

/// A mail server of others, which prints what it gets; ended with its value.
struct MailServer {
    child: std::process::Child,
    port: u16,
}

impl MailServer {
    /// None where Python has no `aiosmtpd`.
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut python = std::process::Command::new("python3");
        let known = python.args(["-c", "import aiosmtpd"]).stderr(std::process::Stdio::null()).status();
        known.ok().filter(std::process::ExitStatus::success)?;
        let mut python = std::process::Command::new("python3");
        python.args(["-u", "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Debugging", "stdout", "-l"]);
        let child =
            python.arg(format!("127.0.0.1:{port}")).stdout(std::process::Stdio::piped()).spawn().unwrap();
        eventually("the mail server listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, port })
    }

    /// The next mail as it came.
    fn mail(&mut self) -> String {
        let (mut mail, mut reader) = (String::new(), BufReader::new(self.child.stdout.as_mut().unwrap()));
        while !mail.contains("END MESSAGE") {
            assert_ne!(reader.read_line(&mut mail).unwrap(), 0, "{mail}");
        }
        mail
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_bookshop_sends_mail_to_a_real_server() {
    let Some(mut server) = MailServer::start() else {
        eprintln!("not run: python3 has no aiosmtpd (`python3 -m pip install aiosmtpd`)");
        return;
    };
    let shop = shop();
    let config = format!(
        "[processor.notification.config]\nsmtp = \"127.0.0.1:{port}\"\n[grants.notification]\ntcp = [\"127.0.0.1:{port}\"]\n",
        port = server.port
    );
    std::fs::write(shop.dir().join("baton.toml"), config).unwrap();
    shop.drop_in("notification", &component("notification"));
    let host = shop.start();
    host.await_running(&["notification"]);
    let fulfilled = json!({
        "order_id": "order-7", "sku": "moby-dick", "parcels": [1],
        "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
    });
    let fulfilled = event("f-7", "order-fulfilled", "order-7", fulfilled);
    let told = host.publish("order-fulfilled", "?wait=email-sent", &fulfilled).expect(200);
    assert_eq!(told["data"]["recipient"], "ada@example.org");
    let mail = server.mail();
    for line in [
        "Subject: Your order order-7 is packed",
        "To: ada@example.org",
        "Message-ID: <order.fulfilled.f.7@bookshop.example>",
        "your moby-dick is packed into one parcel",
    ] {
        assert!(mail.contains(line), "{mail}");
    }
}

#[test]
fn an_event_that_is_in_a_guests_hands_whenever_the_host_ends_is_given_up() {
    let server = serve(silent);
    let shop = shop();
    std::fs::write(shop.dir().join("baton.toml"), GRANTS).unwrap();
    std::fs::write(shop.dir().join("key.txt"), "hunter22").unwrap();
    let mut patient = guest(server.port);
    while let Some(at) = patient.windows(23).position(|part| part == br#""call_time_ms_max":1000"#) {
        patient[at + 19] = b'9';
    }
    shop.drop_in("outside", &patient);
    let mut host = shop.spawn();
    host.await_running(&["outside"]);
    let stuck = json!({"way": "tcp", "to": format!("127.0.0.1:{}", server.port)});
    host.publish("errands", "", &event("1", "errand", "stuck", stuck)).expect(202);
    for _ in 0..3 {
        assert_eq!(server.asked.recv().unwrap(), "echo\n", "it is in the guest's hands");
        host.kill();
        host = shop.spawn();
    }
    let dead = eventually("it is given up", || {
        let dead = host.get("/v1/dead").expect(200);
        (dead["count"] == 1).then_some(dead)
    });
    assert!(dead.to_string().contains("killed-host"), "{dead}");
    assert_eq!(errand(&host, "2", "secret", "key"), "8");
    assert!(shop.log().contains("the host ended while guests handled events"), "{}", shop.log());
}
