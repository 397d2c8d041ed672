//! Why something was not done, as `application/problem+json` (RFC 9457).
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::api::wire::{Refusal, UNKNOWN};

/// A refusal, and what HTTP calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Problem {
    pub(in crate::api) status: StatusCode,
    pub(in crate::api) refusal: Refusal,
}

/// A problem as it travels; others may have been added by a later coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::api) struct Body {
    /// Names the rule that said no.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    pub(in crate::api) rule: String,
    pub(in crate::api) cure: String,
    /// With which code a command that asked exits.
    pub(in crate::api) exit: u8,
}

pub(in crate::api) const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    pub(in crate::api) fn new(status: StatusCode, rule: &str, what: String, cure: &str) -> Problem {
        Problem {
            status,
            refusal: Refusal {
                rule: rule.to_owned(),
                what,
                cure: cure.to_owned(),
                exit: if status == StatusCode::SERVICE_UNAVAILABLE {
                    5
                } else {
                    2
                },
            },
        }
    }

    /// A request that cannot be understood.
    pub(super) fn unreadable(status: StatusCode, why: &str) -> Problem {
        let what = format!("the request cannot be read: {why}");
        let cure = "see /v1/openapi.json, or use a cleanslate of the coordinator's version";
        Problem::new(status, "request", what, cure)
    }

    /// Nobody is there to answer any more.
    pub(in crate::api) fn ending() -> Problem {
        let what = "the coordinator is ending and takes no requests".to_owned();
        let cure = "try again once it has started anew";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ending", what, cure)
    }

    pub(super) fn body(&self) -> Body {
        let refusal = &self.refusal;
        Body {
            kind: format!("urn:cleanslate:{}", refusal.rule.replace([' ', '_'], "-")),
            title: refusal.rule.clone(),
            status: self.status.as_u16(),
            detail: refusal.what.clone(),
            rule: refusal.rule.clone(),
            cure: refusal.cure.clone(),
            exit: refusal.exit,
        }
    }
}

impl From<Refusal> for Problem {
    /// What a rule said no to conflicts with how things stand; what is wrong in itself cannot be
    /// processed.
    fn from(refusal: Refusal) -> Problem {
        let status = match refusal.exit {
            1 => StatusCode::INTERNAL_SERVER_ERROR,
            2 if refusal.rule == UNKNOWN => StatusCode::NOT_FOUND,
            2 => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
        Problem { status, refusal }
    }
}

impl Body {
    pub(in crate::api) fn into_refusal(self) -> Refusal {
        Refusal {
            rule: self.rule,
            what: self.detail,
            cure: self.cure,
            exit: self.exit,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"cleanslate\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
