//! Every probe at every address, one by one. A site that is out of DNS may fail its own.
use futures_util::future::join_all;

use super::super::adapters::Adapters;
use super::Check;
use crate::coordinator::safety::{Presence, presence};
use crate::model::id::SiteName;
use crate::model::rrset::ZoneView;
use crate::probe::Looked;

pub(super) async fn checks(adapters: &Adapters, view: Option<&ZoneView>) -> Vec<Check> {
    let fleet = adapters.fleet();
    let asked = fleet.sites.keys().map(|site| async move {
        let serves = view.is_none_or(|view| presence(fleet, view, site) != Presence::None);
        match Box::pin(adapters.look_at_each(site)).await {
            Ok(looks) => looks
                .iter()
                .map(|look| of_look(site, look, serves))
                .collect(),
            Err(problem) => vec![Check::problem(format!("probes of {site}"), &problem)],
        }
    });
    join_all(asked).await.concat()
}

/// Silence is an answer here: it is what the probe asks about.
fn of_look(site: &SiteName, look: &Looked, serves: bool) -> Check {
    let asked = format!("probe of {site}: {}", look.check);
    match &look.result {
        Ok(()) => Check::well(asked, "passes"),
        Err(problem) => {
            let bare = problem.what.strip_prefix(&format!("{}: ", look.check));
            let answer = bare.unwrap_or(&problem.what).to_owned();
            match serves {
                true => Check::wrong(asked, answer, &problem.cure),
                false => Check::noted(asked, format!("{answer} (the site is not in DNS)"))
                    .cured_by(&problem.cure),
            }
        }
    }
}
