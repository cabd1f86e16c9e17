//! Reaches out of its sandbox as each errand says, and tells how it went. The port 10001 in its asks is a placeholder: tests put the port of
//! their server in its place.

use std::io::{Read, Write};
use std::net::TcpStream;

use baton_sdk::http::Request;
use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct Errand {
    way: String,
    to: String,
}

#[derive(Serialize)]
struct Told {
    told: String,
}

#[processor(
    name = "outside",
    description = "Reaches out of its sandbox as each errand says.",
    subscribe("errands", retry(attempts = 2, delay = "10ms"), then = "stay-held"),
    publishes("errands-done"),
    http("http://127.0.0.1:10001", methods("GET", "POST")),
    http("http://localhost:10001"),
    tcp("127.0.0.1:10001"),
    tcp("localhost:10001"),
    secrets("key"),
    limits(call_time_ms_max = 1000)
)]
fn run(event: Event<Errand>, cx: &mut Context) -> Handled {
    let Errand { way, to } = event.data();
    let told = match way.as_str() {
        "get" | "post" | "put" => http(cx, way, to),
        "tcp" => echo(to).unwrap_or_else(|error| format!("{:?}", error.kind())),
        "secret" => {
            let secret = cx.secret(to).unwrap_or_else(|| "none".to_owned());
            cx.log_info(format_args!("the secret is {secret}"));
            secret.len().to_string()
        }
        _ => return Err(Fault::reject(format_args!("no: {}", cx.secret(to).unwrap_or_default()))),
    };
    cx.publish("errands-done", &Told { told })
}

fn http(cx: &Context<'_>, method: &str, url: &str) -> String {
    let request = Request::new(method, url).header("x-errand", "1");
    let request = if method == "post" { request.bytes("a body") } else { request };
    match cx.http(request) {
        Ok(answer) => {
            let from = answer.header("x-from").unwrap_or("nobody").to_owned();
            format!("{} {from} {}", answer.status, String::from_utf8_lossy(&answer.body))
        }
        Err(error) => format!("{:?}: {error}", error.kind),
    }
}

fn echo(to: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"echo\n")?;
    let mut said = [0; 5];
    stream.read_exact(&mut said)?;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}
