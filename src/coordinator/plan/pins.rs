//! The digest of every image that the plan recreates something from.
use std::collections::BTreeSet;

use super::{Mode, Survey, Wish};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Fleet, Host};
use crate::model::id::SiteName;
use crate::model::image::{ImageRef, Pins};

/// Every digest that is needed, or why it is not known.
pub(super) fn pins(
    fleet: &Fleet,
    sites: &[SiteName],
    wish: &Wish,
    survey: &Survey,
    reasons: &mut Vec<Problem>,
) -> Pins {
    let mut pins = Pins::new();
    let declared = sites.iter().filter_map(|site| fleet.sites.get(site));
    let hosts = declared.flat_map(|site| &site.hosts);
    let touched = hosts.filter(|host| !wish.options.without.contains(&host.name));
    let images: BTreeSet<ImageRef> = touched.flat_map(Host::images).collect();
    for image in images {
        match survey.digests.get(&image) {
            Some(Ok(digest)) => {
                pins.insert(image, digest.clone());
            }
            Some(Err(problem)) => reasons.push(without_registry(wish, sites, problem)),
            None => reasons.push(Problem {
                what: format!("the digest of {image} was not asked for"),
                cure: "plan again".to_owned(),
                is_transient: true,
            }),
        }
    }
    pins
}

/// On-call goes on without a registry by naming where else the digests are.
fn without_registry(wish: &Wish, sites: &[SiteName], problem: &Problem) -> Problem {
    let mut problem = problem.clone();
    if let (true, Mode::Rebuild, [site]) = (problem.is_transient, &wish.mode, sites) {
        problem.cure = format!(
            "{}; or go on with what the site runs: `cleanslate rebuild {site} --images running \
             --reason TEXT`",
            problem.cure
        );
    }
    problem
}
