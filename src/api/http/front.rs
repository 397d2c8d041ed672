//! What all requests share: the way to whoever owns the machine, tokens, and what answers them.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::routing::get;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::caller::penalty;
use super::guarded::guarded;
use super::problem::Problem;
use super::repeats::Repeats;
use super::{commands, events, pushes, queries};
use crate::api::actor::Actor;
use crate::api::asked::{Answer, Asked};
use crate::api::metrics::Metrics;
use crate::api::page::{self, Page, Ticket};
use crate::api::token::{Entry, Keys, TokenFile};
use crate::api::wire::Command;

/// One for all doors of a coordinator.
#[derive(Debug)]
pub struct Front {
    asked: mpsc::Sender<Asked>,
    pub(in crate::api) keys: Keys,
    pub(in crate::api) failures: Failures,
    pub(in crate::api) repeats: Repeats,
    pub(in crate::api) page: Page,
    /// Of a process that serves.
    metrics: OnceLock<Arc<Metrics>>,
}

impl Front {
    /// Questions go to whoever holds the other end of `asked`; tokens are in the fleet's `folder`.
    pub fn new(asked: mpsc::Sender<Asked>, folder: &Path) -> Arc<Front> {
        Arc::new(Front {
            asked,
            keys: Keys::new(TokenFile::of(folder)),
            failures: Failures::default(),
            repeats: Repeats::default(),
            metrics: OnceLock::new(),
            page: Page::default(),
        })
    }

    /// From now on these can be read.
    pub fn show(&self, metrics: Arc<Metrics>) {
        // The first ones are those of the process: there are no others.
        drop(self.metrics.set(metrics));
    }

    /// The page of metrics as of now; `None` where nothing is measured.
    pub(super) fn metrics(&self) -> Option<String> {
        let metrics = self.metrics.get()?;
        Some(metrics.render(Timestamp::now()))
    }

    /// Everything that can be asked.
    pub(super) fn router(self: Arc<Front>) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/metrics", get(queries::metrics))
            .route("/v1/openapi.json", get(queries::openapi))
            .route("/v1/status", get(queries::status))
            .route("/v1/events", get(events::events))
            .route("/v1/rotations", get(queries::history))
            .route("/v1/rotations/{rotation}", get(queries::report))
            .route("/v1/hooks/push", axum::routing::post(pushes::by_ci))
            .route(
                "/v1/hooks/registry",
                axum::routing::post(pushes::by_registry),
            )
            .route("/v1/release/status", get(queries::release_status))
            .route("/v1/release/history", get(queries::release_history))
            .route(
                "/v1/release/{command}",
                axum::routing::post(commands::release),
            )
            .route("/v1/{command}", axum::routing::post(commands::command))
            .merge(page::routes())
            .fallback(nothing_there)
            .method_not_allowed_fallback(not_so)
            .layer(map_response(guarded))
            .with_state(self)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The coordinator is ending.
    pub(in crate::api) async fn ask(
        &self,
        command: Command,
        actor: Actor,
    ) -> Result<Answer, Problem> {
        let (answer, answered) = oneshot::channel();
        let question = Asked {
            command,
            actor,
            answer,
        };
        let sent = self.asked.send(question).await;
        sent.map_err(|_| Problem::ending())?;
        answered.await.map_err(|_| Problem::ending())
    }

    /// Whose ticket this is, if they signed in and their token still opens.
    pub(in crate::api) fn signed_in(&self, ticket: &Ticket) -> Option<Entry> {
        self.page.sessions.of(ticket, &self.keys, Timestamp::now())
    }

    /// Whoever came with a wrong token waits, longer each time; nobody else does.
    pub(in crate::api) async fn slow_down(&self, address: IpAddr) {
        let failures = self.failures.count(address);
        tokio::time::sleep(penalty(failures)).await;
    }

    /// Nobody answers any more.
    pub(super) async fn closed(&self) {
        self.asked.closed().await;
    }
}

async fn nothing_there() -> Problem {
    Problem::unreadable(StatusCode::NOT_FOUND, "nothing is there")
}

async fn not_so() -> Problem {
    Problem::unreadable(
        StatusCode::METHOD_NOT_ALLOWED,
        "the method is not one of this path",
    )
}

/// How often each address came with a wrong token since it last had a right one.
#[derive(Debug, Default)]
pub(in crate::api) struct Failures(Mutex<BTreeMap<IpAddr, u32>>);

/// So many addresses are remembered.
const ADDRESSES: usize = 4096;

impl Failures {
    pub(super) fn count(&self, address: IpAddr) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES && !counts.contains_key(&address) {
            counts.pop_first();
        }
        let count = counts.entry(address).or_default();
        *count = count.saturating_add(1);
        *count
    }

    pub(in crate::api) fn forget(&self, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(&address);
    }
}
