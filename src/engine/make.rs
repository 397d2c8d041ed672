//! Making what a `Prepare` asks for, and taking it back.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::adapter::{Errand, Progress};
use super::fault::Fault;
use super::networks::NetworkKey;
use super::order::{Attempt, Order, ServiceKey};
use super::prepare::Ground;
use super::volumes::VolumePlan;
use crate::coordinator::effect::{Made, Preparation};
use crate::coordinator::outcome::Problem;
use crate::model::service::{Project, Service};

/// What this request has made so far, and would take back.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) containers: Vec<Made>,
    networks: Vec<String>,
    volumes: Vec<String>,
}

impl Errand<'_> {
    /// Makes networks, volumes and containers; what went wrong, every reason at once.
    pub(super) async fn make(
        &self,
        preparation: &Preparation,
        ground: &Ground,
        ledger: &mut Ledger,
    ) -> Vec<Problem> {
        let networks = match self.make_surroundings(preparation, ground, ledger).await {
            Ok(networks) => networks,
            Err(problem) => return vec![problem],
        };
        let orders = self.orders(preparation, ground, &networks);
        // Those that share something of another need its id.
        let (sharing, own): (Vec<_>, Vec<_>) = orders.iter().partition(|order| order.shares());
        let done = AtomicU32::new(0);
        let count = |attempt: Attempt| {
            if attempt.problem.is_none() {
                let done = 1 + done.fetch_add(1, Ordering::Relaxed);
                let of = u32::try_from(orders.len()).unwrap_or(u32::MAX);
                (self.progress)(Progress::Created { done, of });
            }
            attempt
        };
        let before = &*ledger;
        let making = own
            .iter()
            .map(|order| self.make_container(order, before).map(count));
        let attempts = join_all(making).await;
        let mut failed = BTreeMap::new();
        for (order, attempt) in own.iter().zip(attempts) {
            ledger.note(order, attempt, &mut failed);
        }
        for order in sharing {
            if !failed.contains_key(&order.key()) {
                let attempt = self.make_container(order, ledger).map(count).await;
                ledger.note(order, attempt, &mut failed);
            }
        }
        failed.into_values().collect()
    }

    /// One for each container to be made, in the order in which they start.
    fn orders<'o>(
        &'o self,
        preparation: &'o Preparation,
        ground: &'o Ground,
        networks: &'o BTreeMap<NetworkKey, String>,
    ) -> Vec<Order<'o>> {
        let of_service = |(project, service): (&'o Project, &'o Service)| {
            (1..=service.replicas).map(move |number| Order {
                preparation,
                ground,
                networks,
                project,
                service,
                number,
            })
        };
        self.context.recreated().flat_map(of_service).collect()
    }

    async fn make_surroundings(
        &self,
        preparation: &Preparation,
        ground: &Ground,
        ledger: &mut Ledger,
    ) -> Result<BTreeMap<NetworkKey, String>, Problem> {
        let mut ids = BTreeMap::new();
        for (key, plan) in &ground.networks {
            if let Some((id, is_new)) = self.make_network(key, plan, preparation).await? {
                if is_new {
                    ledger.networks.push(id.clone());
                }
                ids.insert(key.clone(), id);
            }
        }
        for (key, plan) in &ground.volumes {
            if *plan == VolumePlan::Make
                && let Some(name) = self.make_volume(key, preparation).await?
            {
                ledger.volumes.push(name);
            }
        }
        Ok(ids)
    }
    /// Removes everything that this request made, and whatever of it the engine finished late.
    pub(super) async fn take_back(
        &self,
        preparation: &Preparation,
        ledger: &Ledger,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut note = |what: &str, result: Result<(), Fault>| {
            if let Err(fault) = result {
                problems.push(self.client.problem(&format!("take back {what}"), &fault));
            }
        };
        for made in ledger.containers.iter().rev() {
            let what = format!("container {} ({})", made.name, made.id.short());
            note(&what, self.client.remove(&made.id, false, true).await);
        }
        let swept = match self.client.survey().await {
            Ok(listed) => self.sweep(listed, preparation).await.map(drop),
            Err(fault) => Err(fault),
        };
        note("the containers of this request", swept);
        for id in &ledger.networks {
            note(&format!("network {id}"), self.remove_network(id).await);
        }
        for name in &ledger.volumes {
            note(&format!("volume {name}"), self.remove_volume(name).await);
        }
        problems
    }
}

impl Ledger {
    /// Of a service one problem is enough: its containers fail alike.
    fn note(
        &mut self,
        order: &Order<'_>,
        attempt: Attempt,
        failed: &mut BTreeMap<ServiceKey, Problem>,
    ) {
        self.containers.extend(attempt.made);
        if let Some(problem) = attempt.problem {
            failed.entry(order.key()).or_insert(problem);
        }
    }
}
