//! The author's loop: a new crate, served, saved, broken and mended, in one process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use baton_tests::host::Shop;
use baton_tests::http::{Http, event};
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

struct Dev {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    source: PathBuf,
}

impl Dev {
    fn start(shop: &Shop) -> Self {
        let made = shop.run(&["new", "greeter"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(shop.dir().join("log")).unwrap();
        let mut command =
            shop.command(&["dev", "--json", "--listen", "127.0.0.1:0", "greeter", "--", "--offline"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (said, told) = (child.stdout.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                told.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines, source: shop.dir().join("greeter/src/lib.rs") }
    }

    /// Waits for a line, and gives it.
    fn await_line(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.lines.lock().unwrap().iter().find(|line| is_it(line)).cloned())
    }

    fn await_deployed(&self, generation: u64) {
        let what = format!("generation {generation} runs");
        self.await_line(&what, |line| line["kind"] == "deployed" && line["generation"] == generation);
    }

    fn http(&self) -> Http {
        let line =
            self.await_line("it listens", |line| line["message"].as_str().unwrap().starts_with("listening"));
        let words = line["message"].as_str().unwrap().to_owned();
        Http::new(words.split([' ', ',']).find(|word| word.starts_with("http")).unwrap().to_owned())
    }

    fn save(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.source).unwrap();
        std::fs::write(&self.source, change(text)).unwrap();
    }

    fn end(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn greeting(http: &Http, id: &str) -> Value {
    let ada = event(id, "guest-arrived", "Ada", json!({"name": "Ada"}));
    http.publish("guest-arrived", "?wait=guest-greeted&timeout=50s", &ada).expect(200)["data"].clone()
}

#[test]
fn what_is_saved_runs_and_what_is_broken_leaves_the_old_version() {
    let shop = shop();
    let dev = Dev::start(&shop);
    let http = dev.http();
    dev.await_deployed(1);
    assert_eq!(greeting(&http, "1"), json!({"greeting": "Welcome, Ada!", "visits": 1}));

    dev.save(|text| text.replace("Welcome, {name}", "Hello, {name}"));
    dev.await_deployed(2);
    assert_eq!(greeting(&http, "2"), json!({"greeting": "Hello, Ada!", "visits": 2}));

    dev.save(|text| format!("{text}\nfn broken() -> u8 {{ \"no number\" }}\n"));
    dev.await_line("the error is told", |line| line["code"] == "build-failed");
    let log = std::fs::read_to_string(shop.dir().join("log")).unwrap();
    assert!(log.contains("mismatched types") && log.contains("no number"), "{log}");
    assert_eq!(greeting(&http, "3")["greeting"], "Hello, Ada!");

    dev.save(|text| text.replace("\"no number\"", "1").replace("Hello, {name}", "Hi, {name}"));
    dev.await_deployed(3);
    assert_eq!(greeting(&http, "4"), json!({"greeting": "Hi, Ada!", "visits": 4}));
    assert_eq!(dev.end(), Some(0));
}
