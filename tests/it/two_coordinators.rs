//! Two coordinators, two stores, one fleet: the one that was frozen and wakes after the other has
//! finished changes nothing any more, wherever it froze.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::faultd::{Fault, Kind, NamesProxy};
use crate::lab::ground::program::{finish, wait_until};
use crate::lab::images::Push;
use crate::lab::inspect::Answer;
use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, ImageKind, LabSpec, Service, Watcher};
use crate::program::{Ended, Run};
use crate::scene::{Scene, check_at_rest, marker, serving};

const SITES: [&str; 2] = ["fra", "nyc"];
const NIGHT: [&str; 5] = ["rotate", "nightly", "--site", "fra", "--json"];
const SOON: Duration = Duration::from_secs(30);

/// Where the first coordinator is frozen.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// When it told this of the site.
    Told(&'static str),
    /// After its last look, the UPDATE that follows on its way: it arrives when all is over.
    BeforeDirty,
    /// After that UPDATE, its answer on its way: nothing is stopped yet.
    BeforeStop,
    /// A container of the site is being stopped.
    InsideStop,
}

/// Every step; with `CLEANSLATE_STEPS=all` all of them, else those that hurt most.
const STEPS: [Step; 12] = [
    Step::BeforeDirty,
    Step::BeforeStop,
    Step::InsideStop,
    Step::Told("visit_started"),
    Step::Told("images_pulled"),
    Step::Told("ready"),
    Step::Told("withdrawn"),
    Step::Told("draining"),
    Step::Told("drained"),
    Step::Told("recreated"),
    Step::Told("verified"),
    Step::Told("restored"),
];
const STANDING: usize = 3;

#[test]
fn a_coordinator_that_wakes_after_another_took_over_and_finished_changes_nothing() -> Result<()> {
    let all = std::env::var("CLEANSLATE_STEPS").is_ok_and(|it| it == "all");
    let steps = if all { STEPS.len() } else { STANDING };
    let fleet = Two::lay()?;
    let watcher = Watcher::start(&fleet.lab)?;
    for step in &STEPS[..steps] {
        fleet
            .frozen_at(*step)
            .with_context(|| format!("frozen at {step:?}"))?;
    }
    watcher.stop().check(&fleet.lab.spec)?;
    fleet.lab.lost_nobody()
}

#[test]
fn a_store_that_was_copied_lets_one_of_its_two_users_work_at_a_time() -> Result<()> {
    let fleet = Two::lay()?;
    let watcher = Watcher::start(&fleet.lab)?;
    let lab = &fleet.lab;
    fleet.first(&NIGHT)?.end()?.expect(0)?;

    // Copied at rest: whoever comes second is told who holds the marker.
    fleet.copy_store()?;
    let mut first = fleet.first(&NIGHT)?;
    first.await_site("draining", "fra")?;
    let refused = fleet.second(&[&NIGHT[..], &["--wait", "0s"]].concat())?;
    refused.expect(5)?.says(&["marker"])?;
    first.end()?.expect(0)?;
    fleet.second(&NIGHT)?.expect(0)?;
    check_at_rest(lab, &SITES)?;

    // Copied in the middle of a visit: both take it for theirs, and the epoch tells them apart.
    let mut first = fleet.first(&NIGHT)?;
    first.await_site("draining", "fra")?;
    first.signal("STOP")?;
    fleet.copy_store()?;
    fleet.second(&NIGHT)?.expect(0)?;
    check_at_rest(lab, &SITES)?;
    fleet.wakes_in_vain(first)?;
    fleet.first(&NIGHT)?.end()?.expect(0)?;
    check_at_rest(lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    fleet.lab.lost_nobody()
}

/// A fleet of two sites, and two coordinators: the first reaches the primary through a proxy.
struct Two {
    lab: Scene,
    proxy: NamesProxy,
}

impl Two {
    fn lay() -> Result<Self> {
        // It takes its time to stop.
        let image = "10.53.0.5:5000/worker:${CHANNEL}";
        let mut options = FleetOptions {
            services: vec![Service::web("front"), Service::new("worker", image)],
            min_in_service: Some(1),
            ..FleetOptions::default()
        };
        let lab = serving(LabSpec::sites(&SITES).desks(1), &options)?;
        lab.push_as(&Push::new(ImageKind::IgnoresSigterm, "worker", "master"))?;
        let proxy = NamesProxy::before(&lab, (PRIMARY, 53).into())?;
        options.primary = proxy.address;
        lab.write_fleet(&lab.dir.join("first"), &options)?;
        Ok(Self { lab, proxy })
    }

    fn first(&self, args: &[&str]) -> Result<Run> {
        let (fleet, state) = (self.lab.dir.join("first"), self.store(1));
        let mut command = self.lab.cleanslate_on("core", &fleet, &state, args);
        Run::of(&self.lab, &mut command, &args.join(" "))
    }

    fn second(&self, args: &[&str]) -> Result<Ended> {
        let (fleet, state) = (self.lab.fleet_dir(), self.store(2));
        let mut command = self.lab.cleanslate_on("ops1", &fleet, &state, args);
        Run::of(
            &self.lab,
            &mut command,
            &format!("second: {}", args.join(" ")),
        )?
        .end()
    }

    fn store(&self, number: u32) -> std::path::PathBuf {
        self.lab.dir.join(format!("store-{number}"))
    }

    /// The first one's store, as it is on disk, becomes the second one's.
    fn copy_store(&self) -> Result<()> {
        let (from, to) = (self.store(1), self.store(2));
        let words = |path: &Path| path.display().to_string();
        let script = "rm -rf \"$1\" && cp -r \"$0\" \"$1\"";
        let argv = ["sh", "-c", script, &words(&from), &words(&to)];
        finish(&mut crate::lab::ground::program::command(&argv)).map(drop)
    }

    /// The first begins a night and freezes; the second takes over and brings the site back.
    fn frozen_at(&self, step: Step) -> Result<()> {
        let first = self.freeze(step)?;
        let epoch: u64 = marker(&self.lab, "epoch")?.parse()?;
        let reason = ["take-over", "--reason", "the other desk is frozen"];
        self.second(&reason)?.expect(0)?;
        ensure!(marker(&self.lab, "epoch")?.parse::<u64>()? > epoch);
        self.second(&["recover"])?.expect(0)?;
        check_at_rest(&self.lab, &SITES)?;
        // What the first had sent and what was on its way to it arrives now.
        self.proxy.all(Kind::Update, Fault::Pass);
        self.proxy.release();
        self.wakes_in_vain(first)
    }

    fn freeze(&self, step: Step) -> Result<Run> {
        let mut first = self.first(&NIGHT)?;
        let dirty = || marker(&self.lab, "dirty").is_ok_and(|it| it == "fra");
        match step {
            Step::Told(event) => drop(first.await_site(event, "fra")?),
            Step::BeforeDirty => {
                first.await_site("draining", "fra")?;
                let sent = self.proxy.caught().len();
                self.proxy.all(Kind::Update, Fault::Hold);
                first.await_site("drained", "fra")?;
                self.proxy.await_updates(sent + 1, SOON)?;
            }
            Step::BeforeStop => {
                first.await_site("draining", "fra")?;
                self.proxy.all(Kind::Update, Fault::HoldAnswer);
                wait_until("fra is dirty", SOON, dirty)?;
            }
            Step::InsideStop => {
                let before = self.containers()?;
                first.await_site("drained", "fra")?;
                let stopping = || self.containers().is_ok_and(|now| !stands(&before, &now));
                wait_until("a container stops", SOON, stopping)?;
            }
        }
        first.signal("STOP")?;
        Ok(first)
    }

    /// Lets a frozen coordinator go on: it ends, and everything is as it was before.
    fn wakes_in_vain(&self, first: Run) -> Result<()> {
        let before = (self.zone()?, self.running()?);
        first.signal("CONT")?;
        let ended = first.end()?;
        ensure!(matches!(ended.code, Some(3 | 5)), "{ended}");
        let fenced = [
            "took the marker over",
            "another coordinator took over",
            "made by a newer coordinator",
        ];
        let says = fenced.iter().any(|words| ended.says(&[words]).is_ok());
        ensure!(says, "{ended}");
        // What it may have sent with its last breath.
        std::thread::sleep(Duration::from_secs(1));
        let after = (self.zone()?, self.running()?);
        ensure!(after == before, "{before:?} became {after:?}\n{ended}");
        check_at_rest(&self.lab, &SITES)
    }

    fn zone(&self) -> Result<Answer> {
        self.lab.query(PRIMARY.into(), RECORD)
    }

    /// What runs at fra, by id: a coordinator that woke may have made containers before it learned
    /// that it is deposed; they are not started, and go with the next visit.
    fn running(&self) -> Result<BTreeMap<String, String>> {
        let mut all = self.containers()?;
        all.retain(|_, state| state == "running");
        Ok(all)
    }

    /// Every container of fra, with its state, by id.
    fn containers(&self) -> Result<BTreeMap<String, String>> {
        let all = self.lab.containers("fra1")?.into_iter();
        Ok(all.map(|it| (it.id, it.state)).collect())
    }
}

/// Whether everything that ran before runs.
fn stands(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> bool {
    let mut running = before.iter().filter(|(_, state)| *state == "running");
    running.all(|(id, _)| now.get(id).is_some_and(|state| state == "running"))
}
