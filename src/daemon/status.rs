//! The status of a fleet, whoever is asked for it: the primary and the engines are asked, beside
//! what is remembered.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::adapters::Adapters;
use super::clock::Clock;
use crate::api::status::{Engine, LastEnd, NextRun, ReleaseStatus, Seen, Status, status};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::coordinator::state::State;
use crate::model::id::{HolderId, HostName, SiteName};

/// Nobody who asks for the status waits longer for one answer.
const WITHIN: Duration = Duration::from_secs(2);

/// What the store, or the process that owns it, remembers.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// `None`: there is no store here.
    pub state: Option<State>,
    pub holder: Option<HolderId>,
    /// How the last visit of each site ended.
    pub ends: BTreeMap<SiteName, LastEnd>,
    /// Whether a process runs the machine.
    pub is_live: bool,
    /// What the schedules begin next.
    pub next_run: Option<NextRun>,
    pub release: ReleaseStatus,
}

/// Looks, and puts together what was seen and what is known.
pub async fn look(adapters: &Adapters, known: &Known, clock: Clock) -> Status {
    let zone = timeout(WITHIN, adapters.dns.read_primary());
    let (zone, engines) = join(zone, engines(adapters)).await;
    let view = zone.ok().and_then(Result::ok);
    let mut status = status(&Seen {
        fleet: adapters.fleet(),
        state: known.state.as_ref(),
        view: view.as_ref(),
        engines: &engines,
        ends: &known.ends,
        holder: known.holder.as_ref(),
        is_live: known.is_live,
        now: clock.now(),
    });
    for site in &mut status.sites {
        site.traffic = adapters.rate(&site.name);
    }
    Status {
        next_run: known.next_run.clone(),
        release: known.release.clone(),
        ..status
    }
}

async fn engines(adapters: &Adapters) -> BTreeMap<(SiteName, HostName), Engine> {
    let asked = adapters.engines().map(|(site, host, engine)| async move {
        let request = engine.carry_out(&EngineRequest::TakeInventory, |_| {});
        let seen = match timeout(WITHIN, Box::pin(request)).await {
            Ok(EngineOutcome::Inventory(inventory)) => Engine::Up(Arc::unwrap_or_clone(inventory)),
            Ok(_) | Err(_) => Engine::Down,
        };
        ((site.clone(), host.clone()), seen)
    });
    join_all(asked).await.into_iter().collect()
}
