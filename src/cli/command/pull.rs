//! `pull`: images onto hosts, ahead of a rotation; nothing else is touched.
use clap::Args;
use futures_util::future::join_all;

use super::super::desk::{Desk, known_site};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome, Said};
use crate::api::words::counted;
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::fleet::Host;
use crate::model::id::SiteName;
use crate::model::image::Pins;

/// Pulls the images that the tags name now onto every host
///
/// Needs no marker: nothing that serves is touched. A rotation then finds them there.
#[derive(Args, Debug)]
pub(crate) struct Pull {
    /// Only this site; may be repeated
    #[arg(long, value_name = "SITE", value_delimiter = ',')]
    site: Vec<SiteName>,
}

pub(crate) async fn run(desk: &Desk, args: &Pull) -> Outcome {
    let loaded = desk.load()?;
    let fleet = &loaded.fleet;
    for site in &args.site {
        known_site(fleet, site)?;
    }
    let adapters = desk.adapters(fleet)?;
    let is_asked = |site: &SiteName| args.site.is_empty() || args.site.contains(site);
    let mut problems: Vec<Problem> = Vec::new();
    let now = desk.clock.now().wall;
    let asked = fleet
        .sites
        .values()
        .flat_map(|site| site.asked(now).into_values());
    let asked = asked.collect();
    let mut pins = Pins::new();
    for (image, digest) in adapters.registries.resolve(&asked).await {
        match digest {
            Ok(digest) => drop(pins.insert(image, digest)),
            Err(problem) => problems.push(problem),
        }
    }
    let pulls = adapters.engines().filter(|(site, ..)| is_asked(site));
    let pulls = pulls.map(|(site, host, engine)| {
        let declared = fleet.sites.get(site);
        let asked = declared.map(|site| site.asked(now)).unwrap_or_default();
        let images = declared.and_then(|site| site.host(host)).map(Host::images);
        let images = images.unwrap_or_default().into_iter();
        let pins: Pins = images
            .filter_map(|image| Some((image.clone(), pins.get(asked.get(&image)?)?.clone())))
            .collect();
        async move {
            let count = pins.len() as u64;
            let request = EngineRequest::Pull { pins };
            let outcome = Box::pin(engine.carry_out(&request, |_| {})).await;
            let text = if let EngineOutcome::Pulled { images } = &outcome {
                let all = counted(count, "image");
                format!("{site} {host}: {all} there, {images} of them new")
            } else {
                format!("{site} {host}: not pulled")
            };
            desk.output.progress(&text);
            outcome
        }
    });
    for outcome in join_all(pulls).await {
        if let EngineOutcome::Failed(problem) = outcome {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    let is_transient = problems.iter().all(|problem| problem.is_transient);
    Err(Failure {
        exit: Exit::unchanged(is_transient),
        said: Said::Problems(problems),
    })
}
