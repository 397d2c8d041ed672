//! `Discard`: containers that were made and never started are removed, and the networks that were
//! made for them.
use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::adapter::Errand;
use super::fault::Fault;
use super::inventory::state;
use super::labels;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::{ContainerId, Nonce};
use crate::model::inventory::ContainerState;

impl Errand<'_> {
    pub(super) async fn discard(&self, containers: &[ContainerId]) -> EngineOutcome {
        let removals = join_all(containers.iter().map(|id| self.discard_one(id))).await;
        let mut holds = BTreeSet::new();
        for removal in removals {
            match removal {
                Ok(hold) => holds.extend(hold),
                Err(problem) => return EngineOutcome::Failed(problem),
            }
        }
        for hold in &holds {
            if let Err(fault) = self.remove_networks_of(hold).await {
                let problem = self
                    .client
                    .problem("remove the networks of this visit", &fault);
                return EngineOutcome::Failed(problem);
            }
        }
        EngineOutcome::Discarded
    }

    /// Removes one container that never ran; the hold that made it.
    async fn discard_one(&self, id: &ContainerId) -> Result<Option<Nonce>, Problem> {
        let doing = format!("discard container {}", id.short());
        let problem = |fault: Fault| self.client.problem(&doing, &fault);
        let Some(seen) = self.client.inspect(id).await.map_err(problem)? else {
            return Ok(None);
        };
        if state(seen.state.as_ref()) != ContainerState::Created {
            let name = seen.name.unwrap_or_default();
            return Err(self.refuse(
                &format!(
                    "container {} ({}) was started and is not discarded",
                    name.trim_start_matches('/'),
                    id.short()
                ),
                format!("see who started it: docker inspect {}", id.short()),
            ));
        }
        let labels = seen
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default();
        let mark = labels::mark(&labels.into_iter().collect());
        // Not by force: the engine itself then refuses one that somebody starts at this moment.
        self.client.remove(id, false, true).await.map_err(problem)?;
        Ok(mark.map(|mark| mark.hold))
    }
}
