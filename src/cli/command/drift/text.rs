//! What was found at a site, for people.
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::super::desk::Desk;
use crate::api::drift::{FindingReport, SiteDrift, folders, summary};
use crate::api::when::When;
use crate::api::words::counted;
use crate::model::fleet::Fleet;

/// So many paths of a folder are listed; `--json` has them.
const PATHS: usize = 20;

pub(super) fn text(desk: &Desk, fleet: &Fleet, site: &SiteDrift, has_paths: bool) -> String {
    let mut lines = vec![heading(desk, site)];
    for found in &site.findings {
        let also = if found.finding { "" } else { "also, " };
        let (host, whose) = (&found.host, found.whose());
        lines.push(format!("  {also}{host} {whose}: {}", found.what));
    }
    for problem in &site.problems {
        lines.push(format!("  {}", problem.what));
        lines.push(format!("    cure: {}", problem.cure));
    }
    let next = next(fleet, site).into_iter();
    lines.extend(next.map(|next| format!("  next: {next}")));
    let changed = site.containers.iter().filter(|it| it.changed() > 0);
    for inside in changed {
        let (host, name) = (&inside.host, &inside.container);
        lines.push(format!("  inside {host} {name}: {}", summary(inside)));
        if has_paths {
            let folders = folders(inside, PATHS);
            lines.extend(folders.into_iter().map(|line| format!("    {line}")));
        }
    }
    lines.join("\n")
}

fn heading(desk: &Desk, site: &SiteDrift) -> String {
    let state = match (site.counted(), site.complete) {
        (0, true) => desk.output.paint("32", "as declared"),
        (0, false) => desk.output.paint("33", "not known"),
        (count, _) => desk.output.paint("31;1", &counted(count as u64, "finding")),
    };
    let now = desk.clock.now().wall;
    format!("{}: {state}; {}", site.site, visit(site, &desk.when, now))
}

fn visit(site: &SiteDrift, when: &When, now: Timestamp) -> String {
    match &site.last_visit {
        Some(last) => {
            let ago = when.ago(last.at, now);
            format!("last recreated by {}, {ago}", last.rotation)
        }
        None => "no visit is remembered here".to_owned(),
    }
}

/// What brings a site back to what is declared.
fn next(fleet: &Fleet, site: &SiteDrift) -> Vec<String> {
    let counted = site.findings.iter().filter(|it| it.finding);
    let (strays, others): (Vec<_>, Vec<_>) = counted.partition(|it| it.kind == "stray");
    let mut next = Vec::new();
    if !others.is_empty() {
        let is_kept = |it: &&FindingReport| kept(fleet, &site.site).contains(&it.service);
        let kept = match others.into_iter().any(|it| is_kept(&it)) {
            true => " --kept",
            false => "",
        };
        next.push(format!(
            "cleanslate rebuild {}{kept} --reason TEXT",
            site.site
        ));
    }
    if !strays.is_empty() {
        let by_nights = "let nights remove it: strays = \"remove\" under [recreate]";
        next.push(format!("remove the stray, declare it, or {by_nights}"));
    }
    next
}

/// The services of a site that visits leave alone.
fn kept(fleet: &Fleet, site: &str) -> BTreeSet<String> {
    let sites = fleet.sites.values().filter(|it| it.name.as_str() == site);
    let hosts = sites.flat_map(|site| &site.hosts);
    let projects = hosts.flat_map(|host| &host.projects);
    let kept = projects.flat_map(|project| {
        let kept = project.services.iter().filter(|service| service.is_kept());
        kept.map(|service| format!("{}/{}", project.name, service.name))
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::site;
    use super::*;
    use crate::model::service::Keep;
    use crate::sim::world::fleet_of;

    #[test]
    fn what_comes_next_is_a_rebuild_of_kept_services_too_where_one_is_found() {
        let mut fleet = fleet_of(&["fra"], 1);
        assert_eq!(next(&fleet, &site(&[false], true)), [""; 0]);
        let mut found = site(&[true, true], true);
        found.findings[1].kind = "stray".to_owned();
        insta::assert_snapshot!(next(&fleet, &found).join("\n"), @r#"
        cleanslate rebuild fra --reason TEXT
        remove the stray, declare it, or let nights remove it: strays = "remove" under [recreate]
        "#);
        let fra = fleet.sites.values_mut().next().unwrap();
        fra.hosts[0].projects[0].services[0].keep = Keep::Yes;
        insta::assert_snapshot!(next(&fleet, &found)[0], @"cleanslate rebuild fra --kept --reason TEXT");
        found.findings.remove(0);
        assert_eq!(next(&fleet, &found).len(), 1);
    }
}
