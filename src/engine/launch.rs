//! How far each container of a `Start` has come: which may start, which are good, which failed.
//! Time is an argument here, and nothing waits.
use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::HealthConfig;
use tokio::time::Instant;

use super::adapter::HostContext;
use super::health::Happening;
use crate::coordinator::effect::Made;
use crate::model::id::{ContainerId, ProjectName, ServiceName};
use crate::model::inventory::{ContainerState, Health};
use crate::model::service::{Condition, Project, Service};

/// Without a healthcheck, a container is healthy once it ran so long without an exit.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// Beyond what the healthcheck itself may take.
const HEALTH_MARGIN: Duration = Duration::from_secs(30);
const HEALTH_WITHIN_MIN: Duration = Duration::from_secs(60);
/// A one-shot service has no bound of its own; migrations may take their time.
const ONE_SHOT_WITHIN: Duration = Duration::from_secs(15 * 60);
/// The engine's defaults for healthchecks.
const CHECK_EVERY: Duration = Duration::from_secs(30);
const CHECK_RETRIES: u32 = 3;

/// All launches of one request.
pub(super) struct Launches<'a>(BTreeMap<ContainerId, Launch<'a>>);

/// A container on its way up.
pub(super) struct Launch<'a> {
    made: &'a Made,
    project: Option<&'a Project>,
    service: Option<&'a Service>,
    /// Others wait for its exit 0.
    is_one_shot: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Starting,
    /// `Healthcheck`, `Steady` or `Exit` decides, until then.
    Running {
        proof: Proof,
        until: Instant,
    },
    /// Healthy, or completed.
    Good,
}

/// What shows that a running container is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Healthcheck,
    Steady,
    Exit,
}

impl<'a> Launches<'a> {
    /// All of them waiting.
    pub(super) fn new(context: &'a HostContext, containers: &'a [Made]) -> Launches<'a> {
        let one = |made: &'a Made| {
            let project = context.project(made.project.as_str());
            let launch = Launch {
                made,
                project,
                service: project.and_then(|project| project.service(&made.service)),
                is_one_shot: project.is_some_and(|project| project.is_one_shot(&made.service)),
                phase: Phase::Waiting,
            };
            (made.id.clone(), launch)
        };
        Launches(containers.iter().map(one).collect())
    }

    /// The container of that id.
    pub(super) fn made(&self, id: &ContainerId) -> Option<&'a Made> {
        self.0.get(id).map(|launch| launch.made)
    }

    /// One that can never start: nothing is under way that it could wait for.
    pub(super) fn stuck(&self) -> Option<&'a Made> {
        let is_under_way =
            |launch: &Launch<'_>| matches!(launch.phase, Phase::Starting | Phase::Running { .. });
        if self.0.values().any(is_under_way) {
            return None;
        }
        let waits = |launch: &&Launch<'_>| launch.phase == Phase::Waiting;
        self.0.values().find(waits).map(|launch| launch.made)
    }

    /// Those whose turn has come; they count as starting from here on.
    pub(super) fn take_due(&mut self) -> Vec<&'a Made> {
        let waiting = self
            .0
            .values()
            .filter(|launch| launch.phase == Phase::Waiting);
        let due = waiting.filter(|launch| self.may_start(launch));
        let due: Vec<&'a Made> = due.map(|launch| launch.made).collect();
        for made in &due {
            if let Some(launch) = self.0.get_mut(&made.id) {
                launch.phase = Phase::Starting;
            }
        }
        due
    }

    /// Whether every service and project that it waits for is as far as it must be. Those that
    /// are not of this request are kept ones, which run.
    fn may_start(&self, launch: &Launch<'_>) -> bool {
        let depends_on = launch.service.map(|service| &service.depends_on);
        let services = depends_on.into_iter().flatten().all(|(name, dependency)| {
            self.of_service(&launch.made.project, name)
                .all(|other| other.satisfies(dependency.condition))
        });
        let after = launch.project.map(|project| &project.after);
        let projects = after.into_iter().flatten().all(|project| {
            let mut others = self
                .0
                .values()
                .filter(|other| other.made.project == *project);
            others.all(|other| other.phase == Phase::Good)
        });
        services && projects
    }

    fn of_service(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> impl Iterator<Item = &Launch<'a>> {
        self.0.values().filter(move |launch| {
            launch.made.project == *project && launch.made.service == *service
        })
    }

    pub(super) fn running(&mut self, made: &Made, healthcheck: Option<HealthConfig>, now: Instant) {
        let Some(launch) = self.0.get_mut(&made.id) else {
            return;
        };
        // An event may have come before the answer to the start.
        if launch.phase != Phase::Starting {
            return;
        }
        let healthcheck = healthcheck.filter(is_a_check);
        let (proof, within) = match healthcheck {
            _ if launch.is_one_shot => (Proof::Exit, ONE_SHOT_WITHIN),
            Some(healthcheck) => (Proof::Healthcheck, health_within(&healthcheck)),
            None => (Proof::Steady, STEADY_AFTER),
        };
        let until = now + within;
        launch.phase = Phase::Running { proof, until };
    }

    /// `Err`: how it failed.
    pub(super) fn take_in(
        &mut self,
        id: &ContainerId,
        happening: &Happening,
    ) -> Result<(), String> {
        let Some(launch) = self.0.get_mut(id) else {
            return Ok(());
        };
        match happening {
            Happening::Died { code: 0 } if launch.is_one_shot => launch.phase = Phase::Good,
            Happening::Died { code } => return Err(format!("exited with code {code}")),
            Happening::OutOfMemory => return Err("ran out of memory".to_owned()),
            // Its exit alone counts: a healthcheck is cut short by it, and fails.
            Happening::Healthy | Happening::Unhealthy if launch.is_one_shot => (),
            Happening::Unhealthy => return Err("is unhealthy".to_owned()),
            Happening::Healthy => launch.phase = Phase::Good,
        }
        Ok(())
    }

    /// `Err`: how it failed.
    pub(super) fn see(&mut self, id: &ContainerId, seen: &ContainerState) -> Result<(), String> {
        let happening = match seen {
            ContainerState::Exited {
                oom_killed: true, ..
            } => Happening::OutOfMemory,
            ContainerState::Exited { code, .. } => Happening::Died { code: *code },
            ContainerState::Running {
                health: Health::Healthy,
                ..
            } => Happening::Healthy,
            ContainerState::Running {
                health: Health::Unhealthy,
                ..
            } => Happening::Unhealthy,
            ContainerState::Restarting => return Err("exited and is restarted".to_owned()),
            ContainerState::Dead => return Err("is dead or gone".to_owned()),
            ContainerState::Running {
                health: Health::None | Health::Starting,
                ..
            }
            | ContainerState::Created
            | ContainerState::Paused => return Ok(()),
        };
        self.take_in(id, &happening)
    }

    /// After a last look: steady ones are good, others have failed.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(ContainerId, String)> {
        for (id, launch) in &mut self.0 {
            let Phase::Running { proof, .. } = launch.phase else {
                continue;
            };
            if !launch.is_due(now) {
                continue;
            }
            let failure = match proof {
                Proof::Steady => {
                    launch.phase = Phase::Good;
                    continue;
                }
                Proof::Healthcheck => "did not become healthy in time",
                Proof::Exit => "did not complete within 15 minutes",
            };
            return Some((id.clone(), failure.to_owned()));
        }
        None
    }

    pub(super) fn running_ids(&self, wanted: impl Fn(&Launch<'_>) -> bool) -> Vec<ContainerId> {
        let is_running = |launch: &&Launch<'_>| matches!(launch.phase, Phase::Running { .. });
        let running = self
            .0
            .values()
            .filter(is_running)
            .filter(|launch| wanted(launch));
        running.map(|launch| launch.made.id.clone()).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadline = |launch: &Launch<'_>| match launch.phase {
            Phase::Running { until, .. } => Some(until),
            Phase::Waiting | Phase::Starting | Phase::Good => None,
        };
        self.0.values().filter_map(deadline).min()
    }

    pub(super) fn progress(&self) -> (u32, u32) {
        let good = self
            .0
            .values()
            .filter(|launch| launch.phase == Phase::Good)
            .count();
        let whole = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (whole(good), whole(self.0.len()))
    }
}

impl Launch<'_> {
    fn satisfies(&self, condition: Condition) -> bool {
        match condition {
            Condition::Started => matches!(self.phase, Phase::Running { .. } | Phase::Good),
            Condition::Healthy | Condition::CompletedSuccessfully => self.phase == Phase::Good,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Running { until, .. } if until <= now)
    }
}

/// `NONE` switches the image's own off.
fn is_a_check(healthcheck: &HealthConfig) -> bool {
    let test = healthcheck.test.as_deref().unwrap_or_default();
    !matches!(test, [] | [_] if test.first().is_none_or(|word| word == "NONE"))
}

/// How long a container may take until its healthcheck has said yes or no.
fn health_within(healthcheck: &HealthConfig) -> Duration {
    let given = |nanoseconds: Option<i64>| {
        let given = nanoseconds.and_then(|given| u64::try_from(given).ok());
        given.filter(|given| *given > 0).map(Duration::from_nanos)
    };
    let interval = given(healthcheck.interval).unwrap_or(CHECK_EVERY);
    let timeout = given(healthcheck.timeout).unwrap_or(CHECK_EVERY);
    let retries = healthcheck
        .retries
        .and_then(|retries| u32::try_from(retries).ok());
    let retries = retries
        .filter(|retries| *retries > 0)
        .unwrap_or(CHECK_RETRIES);
    let start_period = given(healthcheck.start_period).unwrap_or(Duration::ZERO);
    let needed = start_period + (interval + timeout).saturating_mul(retries) + HEALTH_MARGIN;
    needed.max(HEALTH_WITHIN_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::fixture::{project, service};
    use crate::model::service::Dependency;

    const SOON: Duration = Duration::from_millis(1);

    fn context(services: Vec<Service>) -> HostContext {
        HostContext {
            fleet: "edge".parse().unwrap(),
            site: "nyc".parse().unwrap(),
            host: crate::model::fleet::Host {
                name: "nyc1".parse().unwrap(),
                engine: crate::model::fleet::EngineAddress::Unix("/sock".into()),
                channel: "master".parse().unwrap(),
                address: None,
                projects: vec![project("shop", services)],
            },
            registries: BTreeMap::new(),
            spec_key: [0; 32],
        }
    }

    fn made(service: &str) -> Made {
        Made {
            id: format!("id-{service}").parse().unwrap(),
            project: "shop".parse().unwrap(),
            service: service.parse().unwrap(),
            number: 1,
            name: format!("shop-{service}-1"),
        }
    }

    fn waiting(name: &str, other: &str, condition: Condition) -> Service {
        let mut service = service(name, "web");
        let dependency = Dependency {
            condition,
            is_required: true,
            restart: false,
        };
        service
            .depends_on
            .insert(other.parse().unwrap(), dependency);
        service
    }

    #[test]
    fn one_that_waits_for_health_starts_when_the_other_was_steady_not_before() {
        let context = context(vec![
            service("db", "db"),
            waiting("web", "db", Condition::Healthy),
        ]);
        let all = [made("db"), made("web")];
        let mut launches = Launches::new(&context, &all);
        let now = Instant::now();
        assert_eq!(launches.take_due(), [&all[0]]);
        launches.running(&all[0], None, now);
        assert!(launches.take_due().is_empty());
        assert_eq!(launches.next_deadline(), Some(now + STEADY_AFTER));
        assert_eq!(launches.overdue(now + STEADY_AFTER - SOON), None);
        assert!(launches.take_due().is_empty());
        assert_eq!(launches.overdue(now + STEADY_AFTER), None);
        assert_eq!(launches.take_due(), [&all[1]]);
        assert_eq!(launches.progress(), (1, 2));
    }

    #[test]
    fn one_that_was_good_and_dies_while_others_start_has_failed() {
        let context = context(vec![service("db", "db"), service("web", "web")]);
        let all = [made("db"), made("web")];
        let mut launches = Launches::new(&context, &all);
        launches.take_due();
        assert_eq!(launches.take_in(&all[0].id, &Happening::Healthy), Ok(()));
        let died = Happening::Died { code: 1 };
        let failure = launches.take_in(&all[0].id, &died);
        assert_eq!(failure, Err("exited with code 1".to_owned()));
    }

    #[test]
    fn an_exit_heard_before_the_answer_to_the_start_is_not_forgotten() {
        let context = context(vec![
            service("migrate", "db"),
            waiting("web", "migrate", Condition::CompletedSuccessfully),
        ]);
        let all = [made("migrate"), made("web")];
        let mut launches = Launches::new(&context, &all);
        launches.take_due();
        let died = Happening::Died { code: 0 };
        assert_eq!(launches.take_in(&all[0].id, &died), Ok(()));
        launches.running(&all[0], None, Instant::now());
        assert_eq!(launches.take_due(), [&all[1]]);
    }

    #[test]
    fn of_a_one_shot_only_its_exit_counts() {
        let context = context(vec![
            service("migrate", "db"),
            waiting("web", "migrate", Condition::CompletedSuccessfully),
        ]);
        let all = [made("migrate"), made("web")];
        let mut launches = Launches::new(&context, &all);
        launches.take_due();
        for happening in [Happening::Healthy, Happening::Unhealthy] {
            assert_eq!(launches.take_in(&all[0].id, &happening), Ok(()));
            assert!(launches.take_due().is_empty());
        }
        let died = Happening::Died { code: 0 };
        assert_eq!(launches.take_in(&all[0].id, &died), Ok(()));
        assert_eq!(launches.take_due(), [&all[1]]);
    }

    #[test]
    fn services_that_wait_for_each_other_are_stuck() {
        let context = context(vec![
            waiting("db", "web", Condition::Healthy),
            waiting("web", "db", Condition::Healthy),
        ]);
        let all = [made("db"), made("web")];
        let mut launches = Launches::new(&context, &all);
        assert!(launches.take_due().is_empty());
        assert_eq!(launches.stuck(), Some(&all[0]));
    }

    #[test]
    fn a_healthcheck_has_as_long_as_it_may_take_and_a_minute_at_least() {
        let seconds = |seconds: i64| Some(seconds * 1_000_000_000);
        let mut check = HealthConfig {
            interval: seconds(10),
            timeout: seconds(5),
            retries: Some(4),
            start_period: seconds(20),
            ..HealthConfig::default()
        };
        assert_eq!(health_within(&check), Duration::from_secs(20 + 4 * 15 + 30));
        check.retries = Some(1);
        check.start_period = None;
        assert_eq!(health_within(&check), Duration::from_secs(60));
    }

    #[test]
    fn a_healthcheck_that_is_switched_off_is_none() {
        let check = |test: &[&str]| {
            is_a_check(&HealthConfig {
                test: Some(test.iter().map(|word| (*word).to_owned()).collect()),
                ..HealthConfig::default()
            })
        };
        assert!(check(&["CMD", "true"]) && check(&["CMD-SHELL", "exit 0"]));
        assert!(!check(&["NONE"]) && !check(&[]));
    }
}
