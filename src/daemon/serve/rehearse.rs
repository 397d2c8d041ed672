//! Hours before a run, everything is asked that can be asked without changing anything: what
//! stands in its way reaches people by daylight.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::adapters::Adapters;
use super::super::clock::Clock;
use super::super::doctor;
use super::super::journal::JournalError;
use super::super::rehearsal::{Rehearsal, Script};
use super::super::request::Request;
use super::super::schedule::Run;
use super::super::session::{Session, ttl_high};
use super::super::survey::{ImageSource, observe};
use super::{RunError, SCHEDULE};
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Wish, plan};
use crate::coordinator::state::State;
use crate::model::id::{HolderId, SiteName};
use crate::model::playbook::Playbook;
use crate::model::time::{Now, Ttl};

/// All that a rehearsal needs: it goes on beside whatever the coordinator does meanwhile.
pub(super) struct Rehearsing {
    adapters: Arc<Adapters>,
    clock: Clock,
    playbook: Playbook,
    wish: Wish,
    /// When the run begins.
    planned: Timestamp,
    sites: BTreeSet<SiteName>,
    state: State,
    holder: HolderId,
    ttl_high: Ttl,
    starts: BTreeMap<SiteName, Duration>,
}

impl Rehearsing {
    /// # Errors
    /// The store cannot be read, or there is no such playbook any more.
    pub(super) fn of(session: &Session, run: &Run) -> Result<Rehearsing, RunError> {
        let (store, fleet) = (&session.store, &session.config.fleet);
        let playbook = session.playbook(&run.playbook)?;
        let request = Request::rotate(&run.playbook, None);
        let wish = request.wish(run.rotation(), SCHEDULE.to_owned());
        let now = session.clock().now().wall;
        let mut starts = BTreeMap::new();
        for site in fleet.sites.keys() {
            let typical = store.typical(site, "recreate");
            if let Some(millis) = typical.map_err(JournalError::Store)? {
                starts.insert(site.clone(), Duration::from_millis(millis));
            }
        }
        Ok(Rehearsing {
            sites: session.sites_of(&wish, &playbook),
            adapters: Arc::clone(&session.adapters),
            clock: session.clock(),
            playbook,
            wish,
            planned: run.planned,
            state: session.state().clone(),
            holder: store.holder().map_err(JournalError::Store)?,
            ttl_high: ttl_high(store, fleet, now).map_err(JournalError::Store)?,
            starts,
        })
    }

    /// Everything that stands in the way of the run as things are now.
    pub(super) async fn problems(self) -> Vec<Problem> {
        let own = doctor::Own {
            holder: Some(self.holder.clone()),
            marker: self.state.marker.clone(),
            is_live: true,
            // What a visit needs on the hosts is asked with its own plan, below.
            playbook: None,
        };
        let sections = Box::pin(doctor::examine(&self.adapters, self.clock, &own)).await;
        let checks = sections.into_iter().flat_map(|section| section.checks);
        let mut problems: Vec<Problem> = checks.filter_map(doctor::problem).collect();
        let found = match Box::pin(self.ready()).await {
            Ok(found) => found,
            Err(problem) => vec![problem],
        };
        for problem in found {
            // Two questions may have met the same trouble.
            let is_told = |told: &Problem| told.what.contains(&problem.what);
            if !problems.iter().any(is_told) {
                problems.push(problem);
            }
        }
        problems
    }

    /// What the planner says, and what *ready* would find.
    async fn ready(self) -> Result<Vec<Problem>, Problem> {
        let (adapters, fleet) = (&self.adapters, self.adapters.fleet());
        let source = ImageSource::Registry;
        let seen = observe(adapters, fleet, &self.sites, source, &self.state).await;
        let survey = seen.survey(fleet, self.planned)?;
        let plan = match plan(fleet, &self.playbook, self.wish, &survey) {
            Ok(plan) => plan,
            Err(blocked) => return Ok(blocked.reasons),
        };
        let script = Script {
            playbook: self.playbook,
            plan,
            holder: self.holder,
            ttl_high: self.ttl_high,
            state: self.state,
            starts: self.starts,
            now: Now {
                wall: self.planned,
                ..self.clock.now()
            },
        };
        let zone = seen.zone.clone()?;
        Ok(Rehearsal::ready(adapters, script, zone, &seen)
            .await?
            .findings)
    }
}
