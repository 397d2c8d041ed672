//! A dry run: what *ready* asks is asked for real and changes nothing; the rotation is then played
//! against servers that obey.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, join3};

use super::adapters::Adapters;
use super::night::{Finish, finished};
use super::survey::Observations;
use crate::coordinator::effect::{Follow, Preparation, ProbeManner};
use crate::coordinator::follow::has_followed;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::{ProbeOutcome, Problem};
use crate::coordinator::plan::Plan;
use crate::coordinator::safety::{Presence, presence};
use crate::coordinator::state::{Carried, State};
use crate::model::fleet::Fleet;
use crate::model::id::{Epoch, HolderId, SiteName};
use crate::model::playbook::{Playbook, Preflight};
use crate::model::rrset::{ServerAnswer, ZoneView};
use crate::model::time::{Now, Ttl};
use crate::sim::obeying::{Found, Obeying, Place};
use crate::sim::play::{Scene, play};
use crate::sim::zone;

/// What a real run would begin with.
#[derive(Clone, Debug)]
pub struct Script {
    pub playbook: Playbook,
    pub plan: Plan,
    pub holder: HolderId,
    pub ttl_high: Ttl,
    /// What the store remembers; a rotation in it is left aside.
    pub state: State,
    /// How long the containers of a site take to start, where that was measured.
    pub starts: BTreeMap<SiteName, Duration>,
    pub now: Now,
}

/// A rotation that is ready to be played.
pub struct Rehearsal {
    fleet: Fleet,
    script: Script,
    found: Found,
    /// What *ready* would find wrong, by the name of its rule.
    pub findings: Vec<Problem>,
}

impl Rehearsal {
    /// Looks at everything that *ready* looks at, at every planned site at once. Creates nothing,
    /// pulls nothing, writes nothing.
    ///
    /// # Errors
    /// Where the plan cannot even be played.
    pub async fn ready(
        adapters: &Adapters,
        script: Script,
        zone: ZoneView,
        seen: &Observations,
    ) -> Result<Rehearsal, Problem> {
        let fleet = adapters.fleet().clone();
        let mut found = Found {
            zone: Arc::new(zone),
            inventories: seen.inventories.clone(),
            unready: BTreeMap::new(),
            failing: BTreeMap::new(),
            starts: script.starts.clone(),
        };
        let preparations = preparations(&fleet, &script, &found)?;
        let (unready, failing, servers) = join3(
            obstacles(adapters, &preparations),
            failing(adapters, &script.state, &found.zone),
            adapters.dns.ask_servers(&script.plan.options.without_ns),
        )
        .await;
        found.unready = unready;
        found.failing = failing;
        let findings = findings(&script.plan, &found, &servers);
        Ok(Rehearsal {
            fleet,
            script,
            found,
            findings,
        })
    }

    /// Plays the rotation on what was found, and tells every fact. Nothing outside is touched.
    ///
    /// # Errors
    /// Where the machine refuses the plan, or comes to no end.
    pub fn play(&self, tell: &mut dyn FnMut(&Scene<'_>)) -> Result<Finish, Problem> {
        let mut machine = machine(&self.fleet, &self.script);
        let mut outside = Obeying::new(self.fleet.clone(), self.found.clone());
        let plan = self.script.plan.clone();
        play(&mut machine, &mut outside, plan, self.script.now, tell)?;
        let finish = finished(machine.state());
        Ok(finish.expect("a play that came to its end has a rotation with an end"))
    }
}

fn machine(fleet: &Fleet, script: &Script) -> Coordinator {
    let (playbook, holder) = (script.playbook.clone(), script.holder.clone());
    let mut machine = Coordinator::new(fleet.clone(), playbook, holder, script.ttl_high);
    machine.remember(State::from(Carried::from(&script.state)));
    machine
}

/// What the machine itself asks each host to prepare, where nothing stands in its way: heard by
/// playing the rotation through once on an outside that is well.
fn preparations(
    fleet: &Fleet,
    script: &Script,
    found: &Found,
) -> Result<BTreeMap<Place, Preparation>, Problem> {
    let mut willing = script.clone();
    willing.playbook.failure.preflight = Preflight::Skip;
    willing.plan.options.take_over = true;
    let mut outside = Obeying::new(fleet.clone(), found.clone());
    let mut machine = machine(fleet, &willing);
    let (plan, now) = (willing.plan, willing.now);
    play(&mut machine, &mut outside, plan, now, &mut |_| {})?;
    Ok(outside.prepared().clone())
}

async fn obstacles(
    adapters: &Adapters,
    preparations: &BTreeMap<Place, Preparation>,
) -> BTreeMap<Place, Vec<Problem>> {
    let looks = preparations.iter().map(|(place, preparation)| async move {
        let problems = match adapters.engine(&place.0, &place.1) {
            Some(engine) => engine.obstacles(preparation).await,
            None => Vec::new(),
        };
        (place.clone(), problems)
    });
    let found = join_all(looks).await.into_iter();
    found.filter(|(_, problems)| !problems.is_empty()).collect()
}

/// Who of those in service does not answer its probes.
async fn failing(
    adapters: &Adapters,
    state: &State,
    zone: &ZoneView,
) -> BTreeMap<SiteName, Vec<Problem>> {
    let fleet = adapters.fleet();
    let is_in = |site: &&SiteName| presence(fleet, zone, site) != Presence::None;
    let looks = fleet.sites.keys().filter(is_in).map(|site| async move {
        let without = state.absent_addresses(site);
        let outcome = adapters.probe(site, ProbeManner::Look, &without).await;
        match outcome {
            ProbeOutcome::Passed => None,
            ProbeOutcome::Failing { problems } => Some((site.clone(), problems)),
        }
    });
    join_all(looks).await.into_iter().flatten().collect()
}

fn findings(plan: &Plan, found: &Found, servers: &[ServerAnswer]) -> Vec<Problem> {
    let planned: BTreeSet<&SiteName> = plan.sites().collect();
    let silent = found
        .inventories
        .iter()
        .filter(|((site, _), _)| planned.contains(site))
        .filter_map(|(_, seen)| seen.as_ref().err());
    let in_the_way = silent.chain(found.unready.values().flatten()).cloned();
    let failing = found.failing.iter().flat_map(|(site, problems)| {
        problems.iter().map(move |problem| Problem {
            what: format!("{site} does not answer its probes: {}", problem.what),
            ..problem.clone()
        })
    });
    let ready = in_the_way.chain(failing).map(|problem| Problem {
        what: format!("ready: {}", problem.what),
        ..problem
    });
    ready.chain(not_following(&found.zone, servers)).collect()
}

/// Every name server must answer and show the marker of the primary: after a withdrawal each of
/// them is waited for.
fn not_following(zone: &ZoneView, servers: &[ServerAnswer]) -> Vec<Problem> {
    let marker = zone::marker(zone);
    let follow = Follow {
        epoch: marker.as_ref().map_or(Epoch(0), |marker| marker.epoch),
        seq: marker.as_ref().map_or(0, |marker| marker.seq),
        present: BTreeMap::new(),
        absent: BTreeMap::new(),
        without: BTreeSet::new(),
    };
    let why = |answer: &ServerAnswer| match &answer.view {
        Err(why) => Some(why.clone()),
        Ok(view) if marker.is_some() => has_followed(view, &follow).err(),
        Ok(_) => None,
    };
    let lagging = servers.iter().filter_map(|answer| {
        Some(Problem {
            what: format!("followed: name server {}: {}", answer.server, why(answer)?),
            cure: "start it, or see why it does not follow the primary; `cleanslate doctor` asks \
                   each"
                .to_owned(),
            is_transient: true,
        })
    });
    lagging.collect()
}
