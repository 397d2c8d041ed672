//! What is where.
use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::{Board, Sessions, asking, entry, files, past, report, show};
use crate::api::http::Front;

/// What the pages of a coordinator share.
#[derive(Debug, Default)]
pub(in crate::api) struct Page {
    pub(in crate::api) sessions: Sessions,
    pub(super) board: Board,
}

/// Every page. GETs change nothing.
pub(in crate::api) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/", get(show::show))
        .route("/rotations", get(past::past))
        .route("/rotations/{rotation}", get(report::report))
        .route("/ask/{act}", get(asking::form).post(asking::send))
        .route("/login", get(entry::form).post(entry::sign_in))
        .route("/logout", axum::routing::post(entry::sign_out))
        .route("/files/{file}", get(files::file))
}
