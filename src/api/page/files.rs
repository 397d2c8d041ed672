//! The files that pages are made with: ours, in the binary, from nowhere else.
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::answer::text_of;
use crate::api::http::Problem;

/// Name, media type, content.
const FILES: [(&str, &str, &str); 3] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("files/page.css"),
    ),
    (
        "page.js",
        "text/javascript; charset=utf-8",
        include_str!("files/page.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("files/icon.svg")),
];

/// Kept by browsers, and asked for anew each time: another version of the program has others.
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.into_iter().find(|(file, ..)| *file == name) else {
        let what = format!("no file is called {name:?}");
        let cure = "see / for the page";
        return Problem::new(StatusCode::NOT_FOUND, "request", what, cure).into_response();
    };
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(content)[..16]));
    let has_it = text_of(&headers, &header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let mut response = match has_it {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, kind)], content).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
