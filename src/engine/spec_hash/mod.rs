//! The value of `cleanslate.spec`: one hash of everything a container or a network is made from,
//! except the image's digest.
//!
//! Every struct is taken apart field by field, so a new field does not compile until somebody
//! says whether it belongs in here. Each value is preceded by its length, so no two specs can run
//! into the same bytes.
mod canon;
mod container;
mod limits;
mod networks;
mod parts;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use canon::Canon;

use crate::model::service::{MountSource, Network, Project, Service};

/// The spec of a service's containers, keyed: the values of its secrets are part of it, and a
/// label that anybody may read must not let them be guessed.
pub(super) fn of_service(key: &[u8; 32], project: &Project, service: &Service) -> String {
    let mut canon = Canon::default();
    canon.text(project.name.as_str());
    canon.text(service.name.as_str());
    canon.text(&service.image.to_string());
    canon.container(&service.container);
    for attachment in &service.container.networks {
        if let Some(network) = project.networks.get(&attachment.network) {
            canon.network(network);
        }
    }
    for mount in &service.container.mounts {
        if let MountSource::Volume { key, .. } = &mount.source
            && let Some(volume) = project.volumes.get(key)
        {
            canon.volume(volume);
        }
    }
    // A key of 32 bytes is always accepted; HMAC takes keys of any length.
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&canon.0);
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// The definition of a network. Not keyed: it holds no secret, and a store that was lost must not
/// make every network look changed.
pub(super) fn of_network(network: &Network) -> String {
    let mut canon = Canon::default();
    canon.network(network);
    HEXLOWER.encode(&Sha256::digest(&canon.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::fixture::{bare_network, project, service};
    use crate::model::service::{ContainerSpec, Healthcheck, IpamConfig, Mount};
    use crate::model::text::Secret;

    const KEY: [u8; 32] = [7; 32];

    fn hash(change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut service = service("web", "r.example.com/web:v1");
        change(&mut service.container);
        of_service(&KEY, &project("shop", vec![]), &service)
    }

    #[test]
    fn equal_specs_hash_alike_and_different_ones_do_not() {
        let plain = hash(|_| ());
        assert_eq!(plain, hash(|_| ()));
        let secret = |value: &str| {
            let value = Secret::from(value);
            hash(|spec| {
                spec.environment.insert("PASSWORD".to_owned(), Some(value));
            })
        };
        assert_ne!(secret("a"), secret("b"));
        let unset = hash(|spec| {
            spec.environment.insert("PASSWORD".to_owned(), None);
        });
        assert_ne!(secret(""), unset);
        let moved = |command: &[&str], user: Option<&str>| {
            hash(|spec| {
                spec.command = Some(command.iter().map(|word| (*word).to_owned()).collect());
                spec.user = user.map(str::to_owned);
            })
        };
        assert_ne!(moved(&["ab", "c"], None), moved(&["a", "bc"], None));
        assert_ne!(moved(&["a"], Some("b")), moved(&["a", "b"], None));
    }

    /// An upgrade must not make every kept service look changed.
    #[test]
    fn what_was_made_by_earlier_versions_keeps_its_hash() {
        assert_eq!(
            hash(|_| ()),
            "b9416ee4f95e95a0155296ed4568ae8bdb7c8d091fc2a0d1450e0bb888adca55"
        );
        let full = hash(|spec| {
            spec.command = Some(vec!["run".to_owned()]);
            let value = Some(Secret::from("b"));
            spec.environment.insert("A".to_owned(), value);
            spec.namespaces.pid = Some("host".to_owned());
            spec.limits.memory = Some(64);
            spec.limits.pids = Some(100);
            spec.mounts.push(Mount {
                source: MountSource::Volume {
                    key: "data".to_owned(),
                    nocopy: true,
                    subpath: None,
                },
                target: "/d".to_owned(),
                is_read_only: true,
            });
            spec.healthcheck = Some(Healthcheck {
                test: vec!["NONE".to_owned()],
                interval: None,
                timeout: None,
                start_period: None,
                start_interval: None,
                retries: Some(3),
            });
        });
        assert_eq!(
            full,
            "6cf54f3cec9770ed25eff612604c9483a833633e2a68f379808756b9753a0f29"
        );
        let network = Network {
            is_internal: true,
            ipam: vec![IpamConfig {
                subnet: Some("10.0.0.0/24".to_owned()),
                ..IpamConfig::default()
            }],
            ..bare_network("n")
        };
        assert_eq!(
            of_network(&network),
            "a7c91970f04b76bf1b880d59a72afa1d36519dc6f9c5a22b5d11c1451781cdcd"
        );
    }

    #[test]
    fn another_key_gives_another_hash() {
        let service = service("web", "r.example.com/web:v1");
        let project = project("shop", vec![]);
        assert_ne!(
            of_service(&KEY, &project, &service),
            of_service(&[8; 32], &project, &service)
        );
    }

    #[test]
    fn how_an_image_is_pulled_is_no_part_of_the_spec() {
        let pulled = hash(|spec| spec.pull_policy = crate::model::service::PullPolicy::Always);
        assert_eq!(pulled, hash(|_| ()));
    }
}
