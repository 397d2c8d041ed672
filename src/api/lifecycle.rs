//! What became of `post_start` and `pre_stop`, for a report.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coordinator::event::Event;
use crate::model::id::SiteName;
use crate::model::lifecycle::HookRun;
use crate::model::time::Now;

/// One hook in one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookReport {
    pub host: String,
    pub container: String,
    pub service: String,
    /// `post_start` or `pre_stop`.
    pub phase: String,
    pub command: Vec<String>,
    /// Null: it never ended, or the container was gone before it.
    pub exit_code: Option<i64>,
    /// The last of what it wrote, at most 4096 bytes.
    pub output: String,
}

impl HookReport {
    /// How it ended, in words.
    pub fn end(&self) -> String {
        match self.exit_code {
            Some(0) => "done".to_owned(),
            Some(code) => format!("failed with exit code {code}"),
            None => "failed".to_owned(),
        }
    }
}

/// Every hook that was run, site by site, in the order in which they were told.
pub fn hooks(events: &[(Event, Now)]) -> BTreeMap<SiteName, Vec<HookReport>> {
    let mut of_sites: BTreeMap<SiteName, Vec<HookReport>> = BTreeMap::new();
    for (event, _) in events {
        let (Event::HostCleared {
            site, host, hooks, ..
        }
        | Event::HostUncleared {
            site, host, hooks, ..
        }
        | Event::HostStarted { site, host, hooks }
        | Event::HostNotStarted {
            site, host, hooks, ..
        }) = event
        else {
            continue;
        };
        if hooks.is_empty() {
            continue;
        }
        let reports = hooks.iter().map(|run| of_run(host.as_str(), run));
        of_sites.entry(site.clone()).or_default().extend(reports);
    }
    of_sites
}

fn of_run(host: &str, run: &HookRun) -> HookReport {
    HookReport {
        host: host.to_owned(),
        container: run.container.clone(),
        service: format!("{}/{}", run.project, run.service),
        phase: run.phase.key().to_owned(),
        command: run.command.clone(),
        exit_code: run.exit_code,
        output: run.output.clone(),
    }
}
