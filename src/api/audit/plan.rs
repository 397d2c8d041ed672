//! What a rotation was to do, and on whose word.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coordinator::plan::{Kept, Mode, Options, Plan};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::image::{Digest, ImageRef};

/// A plan, settled before anything was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// `rotate`, `rebuild`, `restore`, `recover`, `withdraw`, `cordon`, `uncordon`, `take_over`.
    pub mode: String,
    pub playbook: PlaybookName,
    /// Sites of one wave are visited together.
    pub waves: Vec<Vec<SiteName>>,
    pub digests: BTreeMap<ImageRef, Digest>,
    /// What sites are visited with instead, that are pinned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pinned: BTreeMap<SiteName, BTreeMap<ImageRef, Digest>>,
    pub reason: Option<String>,
    /// Rules and parts that were set aside by a person's word: `below_floor`, `unverified`,
    /// `take_over`, `kept`, `restore`, `without nyc2`, `without_ns 10.0.2.53:53`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

impl From<&Plan> for Planned {
    fn from(plan: &Plan) -> Planned {
        Planned {
            mode: mode(&plan.mode).to_owned(),
            playbook: plan.playbook.clone(),
            waves: plan.waves.clone(),
            digests: plan.pins.clone(),
            pinned: plan.pinned(),
            reason: plan.reason.clone(),
            overrides: overrides(&plan.mode, &plan.options),
        }
    }
}

fn mode(mode: &Mode) -> &'static str {
    match mode {
        Mode::Rotate => "rotate",
        Mode::Rebuild => "rebuild",
        Mode::Restore { .. } => "restore",
        Mode::Recover => "recover",
        Mode::Withdraw => "withdraw",
        Mode::Cordon { cordoned: true } => "cordon",
        Mode::Cordon { cordoned: false } => "uncordon",
        Mode::TakeOver => "take_over",
    }
}

/// Every option is listed: a new one is asked here whether it is an override.
fn overrides(mode: &Mode, options: &Options) -> Vec<String> {
    let Options {
        without,
        without_ns,
        below_floor,
        restore,
        kept,
        take_over,
        wait_s: _,
        deadline: _,
        carried: _,
        any_hour,
        in_freeze,
    } = options;
    let is_unverified = *mode == Mode::Restore { unverified: true };
    let said = [
        (*below_floor, "below_floor"),
        (is_unverified, "unverified"),
        (*take_over, "take_over"),
        (*kept == Kept::Recreated, "kept"),
        (*restore, "restore"),
        (*any_hour, "now"),
    ];
    let said = said.into_iter().filter(|(is_said, _)| *is_said);
    let said = said.map(|(_, name)| name.to_owned());
    let hosts = without.iter().map(|host| format!("without {host}"));
    let servers = without_ns
        .iter()
        .map(|server| format!("without_ns {server}"));
    let freeze = in_freeze
        .iter()
        .map(|reason| format!("in_freeze ({reason})"));
    said.chain(hosts).chain(servers).chain(freeze).collect()
}
