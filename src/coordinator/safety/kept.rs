//! Kept services are never stopped, so what runs of them can fall behind what is declared.
use crate::model::fleet::Host;
use crate::model::id::SiteName;
use crate::model::image::Pins;
use crate::model::inventory::{Container, Inventory, Role};

/// **nothing lost**: a kept service is left alone, and one that drifted is told. Returns every
/// running container of a kept service that is not of its declared spec, or not on its digest;
/// of one that carries no label of ours the digest is all that can be compared. One that does not
/// run is for verify to refuse.
pub fn drifted(host: &Host, inventory: &Inventory, pins: &Pins) -> Vec<String> {
    let kept = inventory
        .containers
        .iter()
        .filter(|container| container.role == Role::Kept && container.is_running());
    kept.filter_map(|container| {
        let mut whys = Vec::new();
        if container.is_declared_spec == Some(false) {
            whys.push("was made from another spec than the declared one".to_owned());
        }
        whys.extend(other_digest(host, container, pins));
        let (host, name) = (&host.name, &container.name);
        let why = (!whys.is_empty()).then(|| whys.join(", and "))?;
        Some(format!("{host}: {name} is kept and {why}"))
    })
    .collect()
}

/// What a person types to have the kept services of a site recreated.
pub fn rebuild_kept(site: &SiteName) -> String {
    format!("cleanslate rebuild {site} --kept --reason TEXT")
}

/// `None`: it is on its digest, or one of the two is not known.
fn other_digest(host: &Host, container: &Container, pins: &Pins) -> Option<String> {
    let mut projects = host.projects.iter();
    let project = projects.find(|project| project.name == container.project)?;
    let declared = pins.get(&project.service(&container.service)?.image)?;
    let running = container.digests.first()?;
    let is_other = !container.digests.contains(declared);
    is_other.then(|| {
        let (running, declared) = (running.short(), declared.short());
        format!("runs {running} instead of {declared}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{World, digest, fleet, playbook, site};
    use crate::model::inventory::ContainerState;
    use crate::model::service::Keep;

    #[test]
    fn what_drifted_is_told_as_far_as_it_can_be_known() {
        let mut fleet = fleet();
        let host = &mut fleet.sites.get_mut(&site("fra")).unwrap().hosts[0];
        host.projects[0].services[0].keep = Keep::Yes;
        let host = host.clone();
        let world = World::of(fleet, playbook());
        let found = Inventory {
            containers: vec![world.engines[&host.name][0].clone()],
            ..Inventory::default()
        };
        let image = host.projects[0].services[0].image.clone();
        let pins = |n: u8| Pins::from([(image.clone(), digest(n))]);
        let none: Vec<String> = Vec::new();

        assert_eq!(drifted(&host, &found, &pins(1)), none);
        assert_eq!(drifted(&host, &found, &Pins::new()), none);
        let other_digest = "fra1: edge-web-1 is kept and runs 010101010101 instead of 020202020202";
        assert_eq!(drifted(&host, &found, &pins(2)), [other_digest]);

        let with = |change: &dyn Fn(&mut Container)| {
            let mut changed = found.clone();
            change(&mut changed.containers[0]);
            changed
        };
        let spec = with(&|one| one.is_declared_spec = Some(false));
        let other_spec = "fra1: edge-web-1 is kept and was made from another spec than the \
                          declared one";
        assert_eq!(drifted(&host, &spec, &pins(1)), [other_spec]);
        let both = format!("{other_spec}, and runs 010101010101 instead of 020202020202");
        assert_eq!(drifted(&host, &spec, &pins(2)), [both]);

        let unknown = with(&|one| one.digests.clear());
        assert_eq!(drifted(&host, &unknown, &pins(2)), none);
        let stopped = with(&|one| one.state = ContainerState::Created);
        assert_eq!(drifted(&host, &stopped, &pins(2)), none);
        let recreated = with(&|one| one.role = Role::Recreated);
        assert_eq!(drifted(&host, &recreated, &pins(2)), none);
    }
}
