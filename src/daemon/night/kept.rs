//! What is kept beside the journal while a rotation runs: TTLs, evidence, durations, the ledger, the
//! story.
use super::super::audit;
use super::super::drift::{known, makers};
use super::super::executor;
use super::super::journal::JournalError;
use super::super::past;
use super::super::release::{self, keep_found};
use crate::api::status::LastEnd;
use crate::coordinator::effect::Effect;
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::outcome::{EngineOutcome, Outcome};
use crate::coordinator::plan::Mode;
use crate::coordinator::state::State;
use crate::model::drift::{Finding, Known, compare};
use crate::model::evidence::{Evidence, Remains};
use crate::model::id::{HostName, RotationId, SiteName};
use crate::model::time::{Now, millis};
use crate::store::By;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Night, RunError};

impl Night<'_> {
    /// Keeps what an answer carries beside the machine: TTLs as they were served, and evidence.
    pub(super) fn note(&mut self, answer: &executor::Answer) -> Result<(), RunError> {
        if let Outcome::Primary { view: Ok(view), .. } = &answer.outcome {
            for (key, set) in &view.rrsets {
                if let Some(ttl) = set.ttl {
                    let at = self.clock.now().wall;
                    self.store
                        .note_ttl(&key.name, ttl, at)
                        .map_err(JournalError::Store)?;
                }
            }
        }
        if let Outcome::Engine(EngineOutcome::Evidence(evidence)) = &answer.outcome
            && let Some((site, host)) = &answer.host
        {
            self.keep(site, host, evidence)?;
        }
        Ok(())
    }

    /// Keeps what the rotation was told as: the configuration that it is told with goes.
    pub(super) fn keep_story(&mut self, rotation: &RotationId) -> Result<(), JournalError> {
        let body = serde_json::to_string(self.control.story());
        let body = body.expect("texts, numbers and string keys always serialize");
        Ok(self.store.keep_story(rotation, &body)?)
    }

    pub(super) fn note_end(&mut self, event: &Event, now: Now) {
        if let Event::VisitEnded { site, end, problem } = event {
            let last = LastEnd {
                at: now.wall,
                end: *end,
                problem: problem.clone(),
            };
            self.ends.insert(site.clone(), last);
        }
    }

    /// Remembers how long a step took, for the time left of later nights.
    pub(super) fn keep_duration(
        &mut self,
        event: &Event,
        before: &State,
        now: Now,
    ) -> Result<(), RunError> {
        let (site, step, millis) = if let Event::Drained { site, seconds, .. } = event {
            (site, "drain", seconds * 1000)
        } else if let Event::Recreated { site, seconds, .. } = event {
            (site, "recreate", seconds * 1000)
        } else if let Event::VisitEnded {
            site,
            end: VisitEnd::Completed,
            ..
        } = event
            && let Some(visit) = before.rotation.as_ref().and_then(|r| r.visits.get(site))
        {
            let took = now.wall.duration_since(visit.began).as_millis();
            let took = u64::try_from(took).unwrap_or(0);
            // How long people took to try it says nothing of the next night.
            (site, "visit", took.saturating_sub(millis(visit.on_trial)))
        } else {
            return Ok(());
        };
        self.store
            .keep_duration(site, step, millis)
            .map_err(JournalError::Store)?;
        Ok(())
    }

    /// The ledger hears what registries were seen to have, and what a site passed with.
    pub(super) fn keep_seen(&mut self, step: &audit::Step<'_>, now: Now) -> Result<(), RunError> {
        let by = By::itself();
        let rotation = step.after.rotation.as_ref().map(|it| &it.plan.id);
        let name = rotation.map_or("a rotation", |id| id.as_str());
        if let Event::Planned { plan } = step.event
            && plan.mode == Mode::Rotate
        {
            let why = format!("seen when {name} was planned");
            keep_found(self.store, &plan.pins, (&by, &why), now.wall)?;
        } else if let Event::TagMoved { moved } = step.event {
            let why = format!("seen while {name} ran");
            keep_found(self.store, moved, (&by, &why), now.wall)?;
        } else if let Event::Soaked { site } = step.event
            && !Arc::ptr_eq(&step.before.last_good, &step.after.last_good)
            && let Some(pins) = step.after.last_good.get(site)
        {
            let kept = self.store.keep_passed(site, pins, rotation, now.wall);
            release::unless_damaged(kept.map_err(JournalError::Store))?;
        }
        Ok(())
    }

    /// The last good digests stay on hosts. A damaged ledger keeps nothing more, and ends no night.
    pub(super) fn keep_on_hosts(&self, effects: &mut [Effect]) -> Result<(), RunError> {
        let (fleet, state) = (self.adapters.fleet(), self.coordinator.state());
        let kept =
            release::kept_on_hosts(self.store, (fleet, state), effects, self.clock.now().wall);
        Ok(release::unless_damaged(kept)?)
    }

    fn keep(
        &mut self,
        site: &SiteName,
        host: &HostName,
        evidence: &[Evidence],
    ) -> Result<(), RunError> {
        let Some(rotation) = &self.coordinator.state().rotation else {
            return Ok(());
        };
        let id = rotation.plan.id.clone();
        let remains = Remains {
            findings: self.compared(site, host, evidence),
            containers: evidence.to_vec(),
        };
        let body = serde_json::to_string(&remains).map_err(|error| JournalError::Unreadable {
            seq: 0,
            why: error.to_string(),
        })?;
        self.store
            .keep_evidence(&id, site, host, &body)
            .map_err(JournalError::Store)?;
        Ok(())
    }

    /// What is found beside what is declared; `None`: what is there is not as it was found.
    fn compared(
        &self,
        site: &SiteName,
        host: &HostName,
        evidence: &[Evidence],
    ) -> Option<Vec<Finding>> {
        let rotation = self.coordinator.state().rotation.as_deref()?;
        let visit = rotation.visits.get(site)?;
        if visit.recreate_since.is_some() || visit.is_another_attempt() {
            return None;
        }
        let inventory = visit.hosts.get(host)?.inventory()?;
        let declared = self.adapters.fleet().sites.get(site)?.host(host)?;
        let known = Known {
            declared: visit.pins(rotation.plan_of(site)).clone(),
            ..self.remembered(site, evidence, &rotation.plan.id)
        };
        Some(compare(declared, inventory, evidence, &known))
    }

    /// What earlier rotations did at a site. A past that cannot be read ends no visit: then only
    /// what is declared is compared.
    fn remembered(&self, site: &SiteName, evidence: &[Evidence], now: &RotationId) -> Known {
        let spans = self.store.rotations().map_err(JournalError::Store);
        let known = spans.and_then(|spans| {
            let earlier = spans.into_iter().rev().map(|span| span.rotation);
            let earlier = earlier.filter(|rotation| rotation != now);
            let makers = BTreeMap::from([(site.clone(), makers(evidence))]);
            known(&makers, earlier, |rotation| {
                past::told(self.store, rotation)
            })
        });
        match known {
            Ok(mut known) => known.remove(site).unwrap_or_default(),
            Err(error) => {
                tracing::warn!("what visits of {site} pinned cannot be read: {error}");
                Known::default()
            }
        }
    }
}
