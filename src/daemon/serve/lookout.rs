//! Looks, every few minutes, how old containers are, who answers and who is in DNS. Nothing is
//! touched, and nobody waits for it.
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::super::adapters::Adapters;
use super::super::clock::Clock;
use crate::api::metrics::{Containers, Look, Metrics};

/// What is promised of containers is promised in hours.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// An engine or a primary that takes longer does not answer.
const WITHIN: Duration = Duration::from_secs(10);

/// A task that looks.
pub(super) struct Lookout {
    at_once: Arc<Notify>,
    task: AbortHandle,
}

impl Lookout {
    /// Looks at once, then every few minutes.
    pub(super) fn start(adapters: Arc<Adapters>, metrics: Arc<Metrics>, clock: Clock) -> Lookout {
        let at_once = Arc::new(Notify::new());
        let asked = Arc::clone(&at_once);
        let task = tokio::spawn(async move {
            loop {
                let look = look(&adapters, metrics.facts()).await;
                metrics.looked(adapters.fleet(), &look, clock.now().wall);
                // Asked, or the time has come: either way it looks.
                drop(timeout(EVERY, asked.notified()).await);
            }
        });
        Lookout {
            at_once,
            task: task.abort_handle(),
        }
    }

    /// Something changed that is to be seen soon.
    pub(super) fn look_at_once(&self) {
        self.at_once.notify_one();
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(adapters: &Adapters, facts: u64) -> Look {
    let zone = timeout(WITHIN, adapters.dns.read_primary());
    let engines = adapters.engines().map(|(site, host, engine)| async move {
        let containers = match timeout(WITHIN, engine.oldest()).await {
            Ok(Ok(Some(created))) => Containers::Since(created),
            Ok(Ok(None)) => Containers::None,
            Ok(Err(_)) | Err(_) => Containers::Unknown,
        };
        ((site.clone(), host.clone()), containers)
    });
    let (zone, engines) = join(zone, join_all(engines)).await;
    Look {
        facts,
        zone: zone.ok().and_then(Result::ok),
        engines: engines.into_iter().collect(),
    }
}
