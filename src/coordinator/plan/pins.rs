//! The digest of every image that the plan recreates something from.
use std::collections::{BTreeMap, BTreeSet};

use super::{Mode, Survey, Wish};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Fleet, Host, Site};
use crate::model::id::SiteName;
use crate::model::image::{Digest, ImageRef, Pins};

/// Digests, settled.
#[derive(Default)]
pub(super) struct Settled {
    /// What tags name.
    pub(super) pins: Pins,
    /// Of sites with a pin of their own: all that they are visited with.
    pub(super) site_pins: BTreeMap<SiteName, Pins>,
}

/// Every digest that is needed, or why it is not known.
pub(super) fn settle(
    fleet: &Fleet,
    sites: &[SiteName],
    recreated: &[SiteName],
    wish: &Wish,
    survey: &Survey,
    reasons: &mut Vec<Problem>,
) -> Settled {
    let mut settled = Settled::default();
    let mut asked = Asked {
        survey,
        failed: BTreeSet::new(),
    };
    for site in sites.iter().filter_map(|name| fleet.sites.get(name)) {
        let own = match survey.from_hosts {
            true => Pins::new(),
            false => site.pinned(survey.at),
        };
        let mut of_site = Pins::new();
        if recreated.contains(&site.name) {
            for image in images(site, wish) {
                let digest = match own.get(&image) {
                    Some(pin) => asked.pinned(site, &image, pin),
                    None => asked.tagged(&image),
                };
                match digest {
                    Ok(digest) => drop(of_site.insert(image, digest)),
                    Err(None) => {}
                    Err(Some(problem)) => {
                        reasons.push(without_registry(wish, recreated, &problem));
                    }
                }
            }
        }
        let by_tag = of_site
            .iter()
            .filter(|(image, _)| !own.contains_key(*image));
        let by_tag = by_tag.map(|(image, digest)| (image.clone(), digest.clone()));
        settled.pins.extend(by_tag);
        // One that nothing is recreated of stands here too: if it gets dirty later, it is not to be
        // made from what the tags of the others name.
        if !own.is_empty() {
            settled.site_pins.insert(site.name.clone(), of_site);
        }
    }
    settled
}

fn images(site: &Site, wish: &Wish) -> BTreeSet<ImageRef> {
    let hosts = site.hosts.iter();
    let touched = hosts.filter(|host| !wish.options.without.contains(&host.name));
    touched.flat_map(Host::images).collect()
}

/// What registries said, each failure told once.
struct Asked<'a> {
    survey: &'a Survey,
    failed: BTreeSet<ImageRef>,
}

impl Asked<'_> {
    fn tagged(&mut self, image: &ImageRef) -> Result<Digest, Option<Problem>> {
        let digest = self.said_of(image);
        digest.map_err(|problem| self.failed.insert(image.clone()).then_some(problem))
    }

    /// A digest that the registry does not have would be missed only when it is pulled.
    fn pinned(
        &self,
        site: &Site,
        image: &ImageRef,
        pin: &Digest,
    ) -> Result<Digest, Option<Problem>> {
        self.said_of(&image.by_digest(pin)).map_err(|problem| {
            Some(Problem {
                what: format!("{} is pinned: {}", site.name, problem.what),
                ..problem
            })
        })
    }

    fn said_of(&self, image: &ImageRef) -> Result<Digest, Problem> {
        let not_asked = || {
            Err(Problem {
                what: format!("the digest of {image} was not asked for"),
                cure: "plan again".to_owned(),
                is_transient: true,
            })
        };
        let said = self.survey.digests.get(image).cloned();
        said.unwrap_or_else(not_asked)
    }
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
