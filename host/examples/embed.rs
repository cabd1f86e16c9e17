//! An application with a host inside: two processors of the bookshop as components, and one in the application's own code.
//!
//!     baton build plugins
//!     cargo run -p baton --example embed target/wasm32-wasip2/release/{order_placement,payment}.wasm

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example prints, and a missing member of JSON is null"
)]

use std::path::Path;
use std::time::Duration;

use baton::{Answer, Awaited, Native, Node, Outcome};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{:#}", run(folder.path(), std::env::args().skip(1)).await?);
    Ok(())
}

/// Orders a book and gives the customer's points.
pub async fn run(folder: &Path, components: impl Iterator<Item = String>) -> Result<Value> {
    let loyalty = Native::new("loyalty", "1.0.0")
        .subscribe_by("payment-applied", "/customer/email")
        .publishes("points-earned")
        .handler(|event, cx| {
            let euros = event.json::<Value>()?["amount_minor"].as_u64().unwrap_or(0) / 100;
            let balance = cx.state::<u64>("balance")?.unwrap_or(0) + euros;
            Outcome::handled().set("balance", &balance)?.emit_json("points-earned", &balance)
        });
    let node = Node::builder().folder(folder).compile_in_process().native(loyalty).start().await?;
    for file in components {
        node.deploy_component(std::fs::read(file)?).await?;
    }

    let order = json!({
        "sku": "moby-dick", "quantity": 2, "unit_price_minor": 1499, "currency": "EUR",
        "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
        "card": {"number": "4242 4242 4242 4242", "expires": "2099-04"},
        "ship_to": {"street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT"},
    });
    let accepted = node.publish_json("place-order", "ada", &order).await?;
    let points = Awaited::Channel("points-earned".parse()?);
    let Some(Answer::Event(told)) =
        node.await_in_flow(accepted.flow.parse()?, &points, Duration::from_secs(20)).await?
    else {
        return Err("no points in time".into());
    };
    let state = node.state(&"loyalty".parse()?, Some("ada@example.org"), 1);
    let flow = node.flow(accepted.flow.parse()?).await?.ok_or("no flow")?;

    node.stop().await;
    Ok(json!({"told": told.event["data"], "state": state, "events": flow.events.len()}))
}
