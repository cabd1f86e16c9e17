//! The host's own files over HTTP: the journal, trims, backups.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use serde::Deserialize;

use super::params::{NoParams, Params, read_body};
use super::problem::Refusal;
use crate::model::upkeep::{BackupReport, JournalReport, TrimReport};
use crate::node::Node;

/// The largest body that asks for a backup.
const BACKUP_BODY_BYTES_MAX: usize = 16 << 10;

/// `GET /v1/journal`
pub async fn journal(State(node): State<Node>, _: Params<NoParams>) -> Result<Json<JournalReport>, Refusal> {
    Ok(Json(node.journal()?))
}

/// The query of a trim.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrimParams {
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/journal/trim`
pub async fn trim(
    State(node): State<Node>,
    Params(params): Params<TrimParams>,
) -> Result<Json<TrimReport>, Refusal> {
    Ok(Json(node.trim(params.dry_run).await?))
}

/// What asks for a backup.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupAsk {
    /// The folder on the host's machine, absolute.
    dir: PathBuf,
}

/// `POST /v1/backup`: answers when the backup is finished. Only JSON is taken: a web page cannot send that to a host on its reader's
/// machine without being asked first.
pub async fn backup(
    State(node): State<Node>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<BackupReport>, Refusal> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type.and_then(|text| text.split(';').next()).map(str::trim) != Some("application/json") {
        let detail = "the body has to be application/json, such as {\"dir\": \"/backups/monday\"}";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-media-type", detail));
    }
    let (body, _room) = read_body(request, BACKUP_BODY_BYTES_MAX).await?;
    let ask: BackupAsk = serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request("bad-body", format!("the body: {error}")))?;
    Ok(Json(node.backup(&ask.dir).await?))
}
