//! What operators set: from a file and the environment to a guest's receipt.

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

fn set(shop: &Shop, text: &str) {
    std::fs::write(shop.dir().join("baton.toml"), text).unwrap();
}

fn await_generation(host: &Host, generation: u64) {
    let what = format!("generation {generation} runs");
    eventually(&what, || (host.processor("relay")["generation"] == generation).then_some(()));
}

fn last_receipt(host: &Host) -> Value {
    let all = host.get("/v1/deployments").expect(200);
    all["deployments"].as_array().unwrap().last().unwrap().clone()
}

fn problem_codes(host: &Host) -> Vec<String> {
    let status = host.get("/v1/status").expect(200);
    let codes = status["problems"].as_array().unwrap().iter();
    codes.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_change_of_a_processors_settings_is_a_deployment_with_a_receipt() {
    let shop = shop();
    set(&shop, "[processor.relay.config]\nsecret = 'hunter2'\n");
    let host = shop.start();
    assert_eq!(problem_codes(&host), ["config-unknown-processor"]);
    shop.drop_in("relay", &component("guest-relay"));
    await_generation(&host, 1);
    let first = last_receipt(&host);

    set(&shop, "[processor.relay.config]\nsecret = 'hunter3'\ncolour = 'red'\n");
    await_generation(&host, 2);
    let second = last_receipt(&host);
    assert_eq!(second["changes"], json!(["config: + colour", "config: secret changed"]));
    assert_eq!(second["digest"], first["digest"]);
    assert_eq!(second.get("previous_digest"), None);
    let told = host.get("/v1/deployments").text;
    assert!(!told.contains("hunter") && !told.contains("red"), "{told}");

    set(&shop, "[processor.relay.config]\nsecret = 5\n");
    eventually("the mistake shows", || {
        problem_codes(&host).contains(&"config-invalid".to_owned()).then_some(())
    });
    let refused = host.post("/v1/config/reload", "application/json", &Value::Null).expect(422);
    assert_eq!(refused["code"], "config-invalid");
    assert!(refused["detail"].as_str().unwrap().contains("baton.toml:2:10"), "{refused}");
    assert_eq!(host.processor("relay")["generation"], 2);

    set(&shop, "listen = '127.0.0.1:1'\n[processor.relay.config]\nsecret = 'hunter3'\ncolour = 'red'\n");
    eventually("it is mended", || (problem_codes(&host) == ["config-restart-needed"]).then_some(()));
    let reloaded = shop.run(&["--json", "--server", &host.url, "config", "reload"]);
    let reloaded: Value = serde_json::from_slice(&reloaded.stdout).unwrap();
    assert_eq!((&reloaded["restart"], &reloaded["deployments"]), (&json!(["listen"]), &json!([])));
    host.stop();

    set(&shop, "[processor.relay.config]\nsecret = 'hunter4'\n");
    let host = shop.start();
    await_generation(&host, 3);
    assert_eq!(last_receipt(&host)["changes"], json!(["config: - colour", "config: secret changed"]));
    host.stop();
    let host = shop.start();
    await_generation(&host, 3);
}

#[test]
fn a_check_says_what_is_wrong_before_a_host_starts() {
    let shop = shop();
    set(&shop, "[journal]\ndurabilty = 'os'\n");
    let checked = shop.command(&["config", "check"]).env("BATON_LIMITS_HOPS_MAX", "7").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    for part in ["2 | durabilty = 'os'", "did you mean 'durability'?", "did you mean BATON_LIMITS__HOPS_MAX?"]
    {
        assert!(said.contains(part), "{said}");
    }
    set(&shop, "[journal]\ndurability = 'os'\n");
    assert_eq!(shop.run(&["config", "check"]).status.code(), Some(0));
    let shown =
        shop.command(&["config", "show", "--json"]).env("BATON_LIMITS__HOPS_MAX", "7").output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let of = |key: &str| {
        shown["settings"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone()
    };
    assert_eq!(of("limits.hops_max")["from"], "BATON_LIMITS__HOPS_MAX");
    assert_eq!(of("journal.durability")["from"], "baton.toml:2:14");
    let schema = shop.run(&["config", "schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema, shop.start().get("/v1/config-schema.json").expect(200));
}
