//! `baton token`: who else may ask a host.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Shared;
use super::client::Ask;
use super::failure::Failure;
use super::output::{Style, Tone};
use super::table::{table, text, toned};
use crate::model::access::{NewToken, Role, TokenList, TokenReport};
use crate::model::name::TokenName;

/// `baton token`
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it: it is told here and nowhere again.
    Create(CreateArgs),
    /// List the tokens that were given out.
    Ls,
    /// Refuse whoever has a token from now on.
    Revoke {
        /// The token's name.
        name: TokenName,
    },
}

/// `baton token create`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton token create shop-frontend --role publish
  baton token create grafana --role read
  BATON_TOKEN=baton_... baton publish place-order --file order.json

The user of the host's machine needs none: the command line sends the token in ~/.config/baton/token.")]
pub struct CreateArgs {
    /// Its name, by which it is listed, revoked and audited.
    name: TokenName,
    /// What it may do: publish, read or admin. May be given more than once.
    #[arg(long, value_name = "ROLE", required = true)]
    role: Vec<Role>,
}

/// Makes, lists or revokes.
pub fn run(command: TokenCommand, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    match command {
        TokenCommand::Create(args) => {
            let body = json!({"name": args.name, "roles": args.role}).to_string().into_bytes();
            let ask =
                Ask { method: "POST", content_type: "application/json", body, ..Ask::get("/v1/tokens") };
            shared.out().show(&client.ask(ask)?.read::<NewToken>()?, render_new)
        }
        TokenCommand::Ls => shared.out().show(&client.get::<TokenList>("/v1/tokens")?, render_list),
        TokenCommand::Revoke { name } => {
            client.ask(Ask { method: "DELETE", ..Ask::get(format!("/v1/tokens/{name}")) })?;
            shared.out().show(&json!({"revoked": name}), |_, _| format!("{name} is refused from now on"))
        }
    }
}

fn render_new(made: &NewToken, style: Style) -> String {
    let NewToken { report, token } = made;
    format!(
        "{}\n{} may {}. It is not told again: keep it where its user finds it.",
        style.paint(Tone::Good, token),
        report.name,
        roles(report)
    )
}

fn render_list(list: &TokenList, style: Style) -> String {
    if list.tokens.is_empty() {
        return "No tokens were given out; the machine's user needs none. `baton token create NAME --role ROLE`"
            .to_owned();
    }
    let row = |token: &TokenReport| {
        [toned(token.name.as_str(), Tone::Name), text(roles(token)), text(&token.created)]
    };
    table(["TOKEN", "MAY", "CREATED"], list.tokens.iter().map(row).collect(), style)
}

fn roles(report: &TokenReport) -> String {
    report.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}
