//! What this process stands on, for the rule *own feet*: where registries answer, and which
//! container it runs in.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::coordinator::outcome::Problem;
use crate::coordinator::safety::OwnContainer;
use crate::model::fleet::Fleet;
use crate::model::id::{HostName, SiteName};
use crate::model::inventory::Inventory;

/// The system's resolver may ask several servers in turn.
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);

/// Files that an engine mounts into every container from that container's own folder.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Where the registries of the fleet's images answer, by the name in the references. One that
/// cannot be resolved is left out: the same lookup fails when it is to be asked.
pub(super) async fn registries(fleet: &Fleet) -> BTreeMap<String, BTreeSet<SocketAddr>> {
    let names: BTreeSet<String> = fleet
        .images()
        .into_iter()
        .map(|image| image.registry)
        .collect();
    let found = join_all(names.into_iter().map(|name| async move {
        let is_insecure = fleet
            .registries
            .get(&name)
            .is_some_and(|registry| registry.is_insecure);
        let addresses = addresses_of(&name, if is_insecure { 80 } else { 443 }).await;
        Some((name, addresses?))
    }));
    found.await.into_iter().flatten().collect()
}

async fn addresses_of(registry: &str, default_port: u16) -> Option<BTreeSet<SocketAddr>> {
    let (host, port) = split(registry, default_port);
    match timeout(LOOKUP_WITHIN, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Some(addresses.collect()),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// `HOST` or `HOST:PORT`; an IPv6 address stands in brackets.
fn split(registry: &str, default_port: u16) -> (&str, u16) {
    let with_port = registry
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = with_port.unwrap_or((registry, default_port));
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// The containers among these that this process may run in, by the beginnings of their ids.
pub(super) fn own(
    ids: &BTreeSet<String>,
    inventories: &BTreeMap<(SiteName, HostName), Result<Inventory, Problem>>,
) -> Vec<OwnContainer> {
    let is_own = |id: &str| ids.iter().any(|own| id.starts_with(own.as_str()));
    let seen = inventories
        .iter()
        .filter_map(|(place, seen)| Some((place, seen.as_ref().ok()?)));
    seen.flat_map(|((site, host), inventory)| {
        let containers = inventory.containers.iter();
        containers
            .filter(|container| is_own(container.id.as_str()))
            .map(|container| OwnContainer {
                site: site.clone(),
                host: host.clone(),
                container: container.clone(),
            })
    })
    .collect()
}

/// What the kernel says of the container that this process runs in; empty where it runs in none.
/// Its hostname is the beginning of its id, unless somebody chose another.
pub(super) fn own_ids() -> BTreeSet<String> {
    // A file that cannot be read tells nothing: another may.
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    ids_in(
        &read("/proc/self/mountinfo"),
        &read("/proc/self/cgroup"),
        &read("/proc/sys/kernel/hostname"),
    )
}

/// In `mountinfo` (proc(5)) the fourth field is the mounted folder on its file system, the fifth
/// where it is mounted. On a machine with an engine the mounts of all its containers are listed,
/// so only what is mounted over files of our own counts.
fn ids_in(mountinfo: &str, cgroup: &str, hostname: &str) -> BTreeSet<String> {
    let mounted = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        MOUNTED.contains(&at).then(|| full_ids(root))
    });
    let mut ids: BTreeSet<String> = mounted.flatten().collect();
    ids.extend(cgroup.lines().flat_map(full_ids));
    let hostname = hostname.trim();
    if hostname.len() == 12 && is_hex(hostname) {
        ids.insert(hostname.to_owned());
    }
    ids
}

/// Every run of 64 hex digits.
fn full_ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let ids = words.filter(|word| word.len() == 64 && is_hex(word));
    ids.map(str::to_owned).collect()
}

fn is_hex(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{World, fleet, problem, site};

    const ID: &str = "3f2a9c8d7e6b5a493f2a9c8d7e6b5a493f2a9c8d7e6b5a493f2a9c8d7e6b5a49";

    #[test]
    fn a_container_knows_its_id_by_its_mounts_its_cgroup_or_its_hostname() {
        let mounts = format!(
            "811 797 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw"
        );
        let id = BTreeSet::from([ID.to_owned()]);
        assert_eq!(ids_in(&mounts, "0::/\n", "web\n"), id);
        let cgroup = format!("0::/system.slice/docker-{ID}.scope\n");
        assert_eq!(ids_in("", &cgroup, "web\n"), id);
        let cgroup = format!("12:pids:/docker/{ID}\n");
        assert_eq!(ids_in("", &cgroup, ""), id);
        let short = BTreeSet::from(["3f2a9c8d7e6b".to_owned()]);
        assert_eq!(ids_in("", "0::/\n", "3f2a9c8d7e6b\n"), short);
    }

    #[test]
    fn beside_an_engine_its_containers_are_not_ours() {
        let mounts = format!(
            "92 28 0:48 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n\
             93 28 254:1 /var/lib/docker/containers/{ID}/hosts /mnt/look rw - ext4 /dev/vda1 rw\n\
             28 1 254:1 / / rw - ext4 /dev/vda1 rw"
        );
        let cgroup = "0::/user.slice/user-0.slice/session-3.scope\n";
        assert_eq!(ids_in(&mounts, cgroup, "fra1\n"), BTreeSet::new());
    }

    #[test]
    fn our_own_container_is_found_in_the_inventories() {
        let mut world = World::new();
        let host: HostName = "nyc1".parse().unwrap();
        world.engines.get_mut(&host).unwrap()[0].id = ID.parse().unwrap();
        let seen = |host: &HostName| Inventory {
            containers: world.engines[host].clone(),
            ..Inventory::default()
        };
        let inventories = BTreeMap::from([
            ((site("fra"), "fra1".parse().unwrap()), Err(problem("down"))),
            ((site("nyc"), host.clone()), Ok(seen(&host))),
        ]);
        let ids = BTreeSet::from(["3f2a9c8d7e6b".to_owned()]);
        let container = world.engines[&host][0].clone();
        let found = OwnContainer {
            site: site("nyc"),
            host,
            container,
        };
        assert_eq!(own(&ids, &inventories), [found]);
        assert_eq!(own(&BTreeSet::new(), &inventories), []);
    }

    #[tokio::test]
    async fn registries_are_found_by_name_and_by_address() {
        let mut fleet = fleet();
        let host = &mut fleet.sites.get_mut(&site("fra")).unwrap().hosts[0];
        let service = host.projects[0].services[0].clone();
        let images = [
            "localhost:5000/web:1",
            "127.0.0.1:5001/web:1",
            "no.invalid/web:1",
        ];
        host.projects[0].services = images
            .iter()
            .map(|image| crate::model::service::Service {
                image: image.parse().unwrap(),
                ..service.clone()
            })
            .collect();
        fleet.sites.retain(|name, _| *name == site("fra"));
        let found = registries(&fleet).await;
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["127.0.0.1:5001", "localhost:5000"]
        );
        assert!(found["localhost:5000"].contains(&"127.0.0.1:5000".parse().unwrap()));
        let numeric = BTreeSet::from(["127.0.0.1:5001".parse().unwrap()]);
        assert_eq!(found["127.0.0.1:5001"], numeric);
    }

    #[test]
    fn a_registry_without_a_port_is_asked_at_the_default_one() {
        let split = |registry| split(registry, 443);
        assert_eq!(split("registry.test"), ("registry.test", 443));
        assert_eq!(split("registry.test:5000"), ("registry.test", 5000));
        assert_eq!(split("[2001:db8::1]:5000"), ("2001:db8::1", 5000));
        assert_eq!(split("[2001:db8::1]"), ("2001:db8::1", 443));
    }
}
