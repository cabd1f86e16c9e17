//! The API's door as its users meet it: nobody notices it on the host's own machine, and others get a token.

use std::process::Output;

use baton_tests::host::{Host, Shop};
use baton_tests::http::event;
use serde_json::{Value, json};

use crate::shop;

/// The program without a token but that of the user's file.
fn as_user(shop: &Shop, host: Option<&Host>, arguments: &[&str]) -> Output {
    let mut command = shop.command(arguments);
    command.env_remove("BATON_TOKEN").env("XDG_CONFIG_HOME", shop.dir().join("config"));
    if let Some(host) = host {
        command.env("BATON_SERVER", &host.url);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_token_is_given_out_used_and_revoked() {
    let shop = shop();
    let host = shop.start();
    let run = |arguments: &[&str]| shop.command(arguments).env("BATON_SERVER", &host.url).output().unwrap();
    let made = run(&["--json", "token", "create", "web", "--role", "publish"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let web = host.with_token(made["token"].as_str().unwrap());
    web.publish("orders", "", &event("1", "order", "k", json!({}))).expect(202);
    assert_eq!(web.get("/v1/status").expect(403)["code"], "role-missing");
    let listed = text(&run(&["token", "ls"]).stdout);
    assert!(listed.contains("web") && listed.contains("publish"), "{listed}");
    assert!(!listed.contains(made["token"].as_str().unwrap()));
    assert!(run(&["token", "revoke", "web"]).status.success());
    assert_eq!(web.publish("orders", "", &event("2", "order", "k", json!({}))).status, 401);
    let again = run(&["token", "revoke", "web"]);
    assert_eq!((again.status.code(), text(&again.stderr).contains("error[unknown-token]")), (Some(4), true));
    let wrong = run(&["token", "create", "web", "--role", "root"]);
    assert_eq!(
        (wrong.status.code(), text(&wrong.stderr).contains("publish, read and admin")),
        (Some(2), true)
    );
}

#[test]
fn the_user_of_the_machine_never_hears_of_it_and_others_are_told_what_to_do() {
    let shop = shop();
    let host = shop.spawn_as_user(&shop.dir().join("config"));
    let status = as_user(&shop, Some(&host), &["status"]);
    assert!(status.status.success(), "{}", text(&status.stderr));
    let token = std::fs::read_to_string(shop.dir().join("config/baton/token")).unwrap();
    assert_eq!(host.with_token(token.trim()).get("/v1/status").status, 200);
    assert_eq!(host.with_token("other").get("/v1/status").expect(401)["code"], "unknown-token");
    let stranger = shop.command(&["status"]).env("BATON_SERVER", &host.url).env("BATON_TOKEN", "x").output();
    let stranger = stranger.unwrap();
    assert_eq!(stranger.status.code(), Some(1));
    assert!(text(&stranger.stderr).contains("error[unknown-token]"), "{}", text(&stranger.stderr));
}

#[test]
fn an_address_that_others_reach_is_refused_until_a_proxy_is_said_to_stand_before_it() {
    let shop = shop();
    let refused = as_user(&shop, None, &["serve", "--listen", "0.0.0.0:0"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--listen") && said.contains("behind-a-proxy"), "{said}");
    std::fs::write(
        shop.dir().join("baton.toml"),
        "listen = \"0.0.0.0:0\"\napi.plaintext = \"behind-a-proxy\"\n",
    )
    .unwrap();
    let checked = as_user(&shop, None, &["config", "check"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}
