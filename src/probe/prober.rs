//! Every check of a site side by side, in one of three manners.
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::time::{sleep, timeout};

use super::check::{Check, checks_of};
use super::http::try_once;
use super::tls::{self, Configs, SystemConfig};
use crate::coordinator::effect::ProbeManner;
use crate::coordinator::outcome::{ProbeOutcome, Problem};
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;

/// Between the two tries of a look.
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(1);

/// Between passes that must follow in a row. It is their number that catches a server which
/// answers by turns; the pause lets one that has just begun to listen fall over.
const VERIFY_PACE: Duration = Duration::from_millis(100);

/// After a failure while verifying: the service is still starting.
const VERIFY_RETRY: Duration = Duration::from_millis(500);

/// While watching, between tries that pass.
const WATCH_PACE: Duration = Duration::from_secs(3);

/// While watching, after a first failure.
const WATCH_RETRY: Duration = Duration::from_secs(1);

/// Probes the sites of one fleet, as its `site.toml` stood when this was made.
#[derive(Debug)]
pub struct Prober {
    checks: BTreeMap<SiteName, Result<Vec<Check>, Problem>>,
    system: SystemConfig,
}

/// One try, for progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// `front at 192.0.2.10`.
    pub check: String,
    pub result: Result<(), Problem>,
    /// Passes in a row so far, and how many are needed; while verifying only.
    pub passes: Option<(u32, u32)>,
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// `front at 192.0.2.10`.
    pub check: String,
    pub result: Result<(), Problem>,
}

impl Prober {
    /// Contacts nothing and reads no file.
    pub fn new(fleet: &Fleet) -> Prober {
        let of_site = |site| checks_of(fleet, site);
        let checks = fleet
            .sites
            .iter()
            .map(|(name, site)| (name.clone(), of_site(site)))
            .collect();
        Prober {
            checks,
            system: SystemConfig::default(),
        }
    }

    /// Looks once at every address of the site, as [`ProbeManner::Look`] does, and tells each check
    /// by itself, in the order of site.toml.
    ///
    /// # Errors
    /// What keeps the site from being probed at all.
    pub async fn look_at_each(&self, site: &SiteName) -> Result<Vec<Looked>, Problem> {
        let checks = match self.checks.get(site) {
            Some(Ok(checks)) => checks,
            Some(Err(problem)) => return Err(problem.clone()),
            None => return Err(unknown_site(site)),
        };
        let run = Run {
            configs: tls::configs(checks, &self.system).await,
            progress: &|_| {},
        };
        let looks = checks.iter().map(|check| async {
            Looked {
                check: check.to_string(),
                result: run.look(check).await,
            }
        });
        Ok(join_all(looks).await)
    }

    /// Probes every address of the site, telling each try to `progress`. A site without probes
    /// passes; [`ProbeManner::Watch`] ends only in failure, and may be dropped at any time.
    pub async fn probe(
        &self,
        site: &SiteName,
        manner: ProbeManner,
        progress: &(dyn Fn(Try) + Send + Sync),
    ) -> ProbeOutcome {
        let checks = match self.checks.get(site) {
            Some(Ok(checks)) => checks,
            Some(Err(problem)) => return failing(vec![problem.clone()]),
            None => return failing(vec![unknown_site(site)]),
        };
        let run = Run {
            configs: tls::configs(checks, &self.system).await,
            progress,
        };
        match manner {
            ProbeManner::Look => all(checks.iter().map(|check| run.look(check))).await,
            ProbeManner::Verify { lasts } => {
                all(checks.iter().map(|check| run.verify(check, lasts))).await
            }
            ProbeManner::Watch => failing(vec![run.watch_all(checks).await]),
        }
    }
}

/// One call of [`Prober::probe`].
struct Run<'a> {
    configs: Configs,
    progress: &'a (dyn Fn(Try) + Send + Sync),
}

impl Run<'_> {
    async fn look(&self, check: &Check) -> Result<(), Problem> {
        if self.try_once(check, None).await.is_ok() {
            return Ok(());
        }
        sleep(SECOND_LOOK_AFTER).await;
        self.try_once(check, None).await
    }

    async fn verify(&self, check: &Check, lasts: Duration) -> Result<(), Problem> {
        let mut last = Ok(());
        let passing = self.pass_in_a_row(check, &mut last);
        if timeout(check.within, passing).await.is_ok() {
            return self.go_on_passing(check, lasts).await;
        }
        let within = check.within;
        Err(match last {
            Err(problem) => Problem {
                what: format!("{} (after {within:?})", problem.what),
                ..problem
            },
            Ok(()) => check.problem(
                format_args!("not {} passes in a row within {within:?}", check.passes),
                "raise the probe's within, or ask for fewer passes",
            ),
        })
    }

    async fn go_on_passing(&self, check: &Check, lasts: Duration) -> Result<(), Problem> {
        if lasts.is_zero() {
            return Ok(());
        }
        match timeout(lasts, self.watch(check)).await {
            Ok(problem) => Err(problem),
            // What broke since it was last tried is not to be put in.
            Err(_) => self.look(check).await,
        }
    }

    async fn pass_in_a_row(&self, check: &Check, last: &mut Result<(), Problem>) {
        let mut in_a_row = 0;
        while in_a_row < check.passes {
            let result = self.try_once(check, Some(in_a_row)).await;
            if let Err(problem) = result {
                in_a_row = 0;
                *last = Err(problem);
                sleep(VERIFY_RETRY).await;
            } else {
                in_a_row += 1;
                if in_a_row < check.passes {
                    sleep(VERIFY_PACE).await;
                }
            }
        }
    }

    /// Ends with the first check that failed twice in a row.
    async fn watch_all(&self, checks: &[Check]) -> Problem {
        if checks.is_empty() {
            return std::future::pending().await;
        }
        let watches = checks.iter().map(|check| Box::pin(self.watch(check)));
        select_all(watches).await.0
    }

    async fn watch(&self, check: &Check) -> Problem {
        loop {
            if self.try_once(check, None).await.is_err() {
                sleep(WATCH_RETRY).await;
                if let Err(problem) = self.try_once(check, None).await {
                    return problem;
                }
            }
            sleep(WATCH_PACE).await;
        }
    }

    async fn try_once(&self, check: &Check, in_a_row: Option<u32>) -> Result<(), Problem> {
        let result = try_once(check, &self.configs).await;
        let count = |before: u32| if result.is_ok() { before + 1 } else { 0 };
        (self.progress)(Try {
            check: check.to_string(),
            passes: in_a_row.map(|before| (count(before), check.passes)),
            result: result.clone(),
        });
        result
    }
}

async fn all<F>(checks: impl Iterator<Item = F>) -> ProbeOutcome
where
    F: Future<Output = Result<(), Problem>>,
{
    let results = join_all(checks).await;
    let problems: Vec<Problem> = results.into_iter().filter_map(Result::err).collect();
    if problems.is_empty() {
        ProbeOutcome::Passed
    } else {
        failing(problems)
    }
}

fn failing(problems: Vec<Problem>) -> ProbeOutcome {
    ProbeOutcome::Failing { problems }
}

fn unknown_site(site: &SiteName) -> Problem {
    Problem {
        what: format!("site {site} is not in site.toml, so nothing of it can be probed"),
        cure: format!("declare [site.{site}] again, or name another site"),
        is_transient: false,
    }
}
