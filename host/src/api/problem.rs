//! Refusals as problem+json (RFC 9457): the one place that says which error has which HTTP status.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::binding::BindingError;
use crate::model::report::Problem;
use crate::model::workflow::command::Ignored;
use crate::model::workflow::read::Mistake;
use crate::node::{
    AccessError, DeployError, FindError, PublishError, ReadError, RunError, UpkeepError, WhyError,
};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// When to ask again while a trim or a backup is running.
const UPKEEP_RETRY_S: u64 = 10;

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    retry_after_s: Option<u64>,
    mistakes: Vec<Mistake>,
}

impl Refusal {
    /// A refusal with a stable code, and what was wrong and what to do.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { status, code: code.into(), detail: detail.into(), retry_after_s: None, mistakes: Vec::new() }
    }

    /// 400
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422, with all that is wrong with a definition.
    pub fn definition(detail: impl Into<String>, mistakes: Vec<Mistake>) -> Self {
        Self { mistakes, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "definition-invalid", detail) }
    }

    /// 413
    pub fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// 500
    pub fn internal(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail)
    }

    /// 503
    pub fn unavailable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// Says when to try again.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The refusal as it is written.
    pub fn to_problem(&self) -> Problem {
        Problem {
            ty: format!("urn:baton:error:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.clone().into_owned(),
            detail: self.detail.clone(),
            mistakes: self.mistakes.clone(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.to_problem())).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            PublishError::BadEvent { .. } => Self::bad_request(code, detail),
            PublishError::Conflict { .. } => Self::conflict(code, detail),
            PublishError::TooLarge { .. } => Self::too_large(code, detail),
            PublishError::Reserved { .. } => Self::new(StatusCode::FORBIDDEN, code, detail),
            PublishError::Busy { retry_after_s } | PublishError::NoRoom { retry_after_s, .. } => {
                Self::unavailable(code, detail).retry_after(retry_after_s)
            }
            PublishError::Closed { .. } => Self::unavailable(code, detail),
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            ReadError::UnknownChannel { .. } => Self::not_found(code, detail),
            ReadError::Expired { .. } => Self::new(StatusCode::GONE, code, detail),
            ReadError::AheadOfEnd { .. } => Self::bad_request(code, detail),
            ReadError::Journal { .. } => Self::internal(code, detail),
        }
    }
}

impl From<WhyError> for Refusal {
    fn from(error: WhyError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            WhyError::Event(FindError::Ambiguous(_)) => Self::conflict(code, detail),
            WhyError::Event(FindError::Read(error)) => error.into(),
            WhyError::Event(FindError::Unknown(_)) | WhyError::UnknownProcessor(_) => {
                Self::not_found(code, detail)
            }
        }
    }
}

impl From<DeployError> for Refusal {
    fn from(error: DeployError) -> Self {
        let (code, detail) = (error.code().to_owned(), error.to_string());
        match error {
            DeployError::Definition(mistakes) => Self::definition(detail, mistakes),
            DeployError::Invalid { .. } | DeployError::NameMismatch { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
            }
            DeployError::Native { .. }
            | DeployError::NothingWaits { .. }
            | DeployError::AnotherWaits { .. }
            | DeployError::NothingBefore { .. }
            | DeployError::NotKept { .. } => Self::conflict(code, detail),
            DeployError::UnknownProcessor { .. } => Self::new(StatusCode::NOT_FOUND, code, detail),
            DeployError::Operation(_) => Self::new(StatusCode::BAD_REQUEST, code, detail),
            DeployError::Failed { .. } if code == "disk-full" => Self::unavailable(code, detail),
            DeployError::Failed { .. }
                if ["waiting-for-approval", "not-granted", "unknown-function", "name-clash"]
                    .contains(&code.as_str()) =>
            {
                Self::conflict(code, detail)
            }
            DeployError::Failed { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail),
        }
    }
}

impl From<RunError> for Refusal {
    fn from(error: RunError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            RunError::Unknown(_) | RunError::UnknownWorkflow(_) => Self::not_found(code, detail),
            RunError::Ignored { why: Ignored::NoTask { .. }, .. } => Self::bad_request(code, detail),
            RunError::Ignored { .. } | RunError::Several { .. } => Self::conflict(code, detail),
            RunError::Lost { .. } => Self::new(StatusCode::GONE, code, detail),
            RunError::Definition(mistakes) => Self::definition(detail, mistakes),
            RunError::Read(error) => error.into(),
            RunError::Refused(_) => Self::unavailable(code, detail),
            RunError::Host(_) => Self::internal(code, detail),
        }
    }
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            AccessError::Taken(_) | AccessError::TooMany => Self::conflict(code, detail),
            AccessError::NoRole(_) => Self::bad_request(code, detail),
            AccessError::Unknown(_) => Self::not_found(code, detail),
            _ => Self::internal(code, detail),
        }
    }
}

impl From<UpkeepError> for Refusal {
    fn from(error: UpkeepError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match code {
            "upkeep-busy" => Self::conflict(code, detail).retry_after(UPKEEP_RETRY_S),
            "backup-not-empty" => Self::conflict(code, detail),
            "backup-relative" => Self::bad_request(code, detail),
            "domain-closed" | "disk-full" => Self::unavailable(code, detail),
            _ => Self::internal(code, detail),
        }
    }
}

impl From<BindingError> for Refusal {
    fn from(error: BindingError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            BindingError::Format { .. } => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail),
            BindingError::EventTooLarge { .. } | BindingError::BatchTooLarge => Self::too_large(code, detail),
            _ => Self::bad_request(code, detail),
        }
    }
}
