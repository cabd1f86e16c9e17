//! Sends a mail for real, where the operator names a server in the setting `smtp` and grants the connection. The server is one of the operator's own
//! network: what is said to it is not encrypted.

use baton_sdk::prelude::*;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{Message, SmtpTransport, Transport};

/// Who writes, unless the setting `from` says otherwise.
const FROM: &str = "Your bookshop <orders@bookshop.example>";

/// Sends a text. `key` names the event: a mail that is sent again has the same `Message-ID`.
pub fn send(
    server: &str,
    cx: &Context<'_>,
    recipient: &str,
    subject: &str,
    body: &str,
    key: &str,
) -> Result<(), Fault> {
    let from = cx.config("from").unwrap_or_else(|| FROM.to_owned());
    let from: Mailbox = from.parse().or_retry("reading the setting 'from'")?;
    let to: Mailbox = recipient.parse().or_reject("reading the customer's address")?;
    let message = Message::builder()
        .message_id(Some(format!("<{}@{}>", id_of(key), from.email.domain())))
        .from(from)
        .to(to)
        .subject(subject)
        .header(ContentType::TEXT_PLAIN)
        .body(body.to_owned())
        .or_reject("writing the mail")?;
    let (host, port) = server.rsplit_once(':').or_retry("reading the setting 'smtp': it is no HOST:PORT")?;
    let port = port.parse().or_retry("reading the setting 'smtp'")?;
    // The host ends a call that takes too long; sockets of WASI know no timeouts of their own.
    let smtp = SmtpTransport::builder_dangerous(host).port(port).timeout(None).build();
    match smtp.send(&message) {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            Err(Fault::reject(format_args!("the mail server refuses: {error}")))
        }
        Err(error) => Err(Fault::retry(format_args!("the mail server {server}: {error}"))),
    }
}

/// Of a key, what an id of a message may have.
fn id_of(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect()
}
