//! What the Compose specification knows and cleanslate refuses, with the reason, and what to write
//! instead. `docs/compose.md` lists it from here.

/// A key that is refused by its name.
pub(crate) struct NotCarried {
    pub(crate) key: &'static str,
    /// Completes "it is refused, because …".
    pub(crate) reason: &'static str,
    /// What to write instead; empty: nothing, it is to be removed.
    pub(crate) cure: &'static str,
}

const fn no(key: &'static str, reason: &'static str, cure: &'static str) -> NotCarried {
    NotCarried { key, reason, cure }
}

/// Every place of a file at which a key is refused.
#[cfg(test)]
pub(crate) const ALL: &[(&str, &[NotCarried])] = &[
    ("the file", FILE),
    ("an item of `include`", INCLUDE),
    ("a service", SERVICE),
    ("`deploy`", DEPLOY),
    ("`deploy.restart_policy`", RESTART_POLICY),
    ("`deploy.resources.limits`", LIMITS),
    ("`deploy.resources.reservations`", RESERVATIONS),
    ("an item of `volumes`, long form", MOUNT),
    ("its `bind`", BIND),
    ("its `volume`", VOLUME_MOUNT),
    ("`networks` of a service", ATTACHMENT),
    ("a config or a secret", CONTENT),
];

const WINDOWS: &str = "it is of Windows";
const SWARM: &str = "it is of Swarm, and an engine alone has no use for it";
const PLAYBOOK: &str = "the playbook says how a rotation goes";
const NEWER: &str = "engines before Docker 28 have no use for it";

pub(crate) const FILE: &[NotCarried] = &[no(
    "models",
    "Docker's model runner is no part of an engine",
    "",
)];

pub(crate) const INCLUDE: &[NotCarried] = &[no(
    "env_file",
    "all files of a fleet have the same variables",
    "define them in `vars` of site.toml, or in a site's env_file",
)];

pub(crate) const SERVICE: &[NotCarried] = &[
    no(
        "build",
        "what a night starts was tested before, and comes from a registry",
        "build the image elsewhere, push it to a registry and name it with `image`",
    ),
    no("cpu_count", WINDOWS, "use `cpus`"),
    no("cpu_percent", WINDOWS, "use `cpus`"),
    no("credential_spec", WINDOWS, ""),
    no(
        "develop",
        "it is of `docker compose watch`",
        "put it into an override file of the developers'",
    ),
    no("isolation", WINDOWS, ""),
    no(
        "models",
        "Docker's model runner is no part of an engine",
        "",
    ),
    no(
        "pre_start",
        "its containers would be of no service, and nobody could verify them",
        "make it a service that others wait for: `service_completed_successfully`",
    ),
    no("provider", "it runs a program of the caller's machine", ""),
    no(
        "pull_refresh_after",
        "digests are pinned when a rotation is planned",
        "",
    ),
    no(
        "use_api_socket",
        "it hands out the caller's credentials",
        "mount /var/run/docker.sock",
    ),
];

pub(crate) const DEPLOY: &[NotCarried] = &[
    no("endpoint_mode", SWARM, ""),
    no(
        "labels",
        SWARM,
        "`labels` of the service label its containers",
    ),
    no(
        "placement",
        SWARM,
        "`projects` of a host in site.toml says what it runs",
    ),
    no("rollback_config", SWARM, PLAYBOOK),
    no("update_config", SWARM, PLAYBOOK),
];

pub(crate) const RESTART_POLICY: &[NotCarried] = &[
    no("delay", SWARM, "an engine waits longer with every restart"),
    no("window", SWARM, ""),
];

pub(crate) const LIMITS: &[NotCarried] = &[no("devices", SWARM, "")];

pub(crate) const RESERVATIONS: &[NotCarried] = &[
    no(
        "cpus",
        "an engine reserves no processors",
        "use `cpu_shares`",
    ),
    no("generic_resources", SWARM, ""),
    no("pids", "an engine reserves no processes", ""),
];

pub(crate) const MOUNT: &[NotCarried] = &[no("image", NEWER, "")];

pub(crate) const BIND: &[NotCarried] = &[no(
    "recursive",
    "engines before Docker 25 have no use for it",
    "",
)];

pub(crate) const VOLUME_MOUNT: &[NotCarried] = &[no(
    "labels",
    "volumes without a name carry none here",
    "label the volume where it is declared",
)];

pub(crate) const ATTACHMENT: &[NotCarried] = &[no("interface_name", NEWER, "")];

pub(crate) const CONTENT: &[NotCarried] = &[
    no("driver", SWARM, "name a file: `file: ./NAME`"),
    no("driver_opts", SWARM, ""),
    no("external", SWARM, "name a file: `file: ./NAME`"),
    no("labels", SWARM, ""),
    no("name", SWARM, ""),
    no("template_driver", SWARM, ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::compose::fixture::errors;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compose.md");
    const BEGIN: &str = "<!-- refused: written by the test `the_page_lists_what_is_refused` -->\n";
    const END: &str = "<!-- end of refused -->";

    /// Written anew where `CLEANSLATE_BLESS` is set.
    #[test]
    fn the_page_lists_what_is_refused() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect(BEGIN);
        let (found, after) = rest.split_once(END).expect(END);
        let listed = listed();
        if std::env::var_os("CLEANSLATE_BLESS").is_some() {
            let page = format!("{before}{BEGIN}{listed}{END}{after}");
            std::fs::write(PAGE, page).unwrap();
        } else {
            assert_eq!(found, listed, "run this test with CLEANSLATE_BLESS=1");
        }
    }

    fn listed() -> String {
        let mut lines = vec![
            "| key | of | because | instead |".to_owned(),
            "|---|---|---|---|".to_owned(),
        ];
        for (place, keys) in ALL {
            for NotCarried { key, reason, cure } in *keys {
                lines.push(format!("| `{key}` | {place} | {reason} | {cure} |"));
            }
        }
        lines.join("\n") + "\n"
    }

    /// The keys of a service in `compose-spec.json` of compose-go, July 2026.
    #[rustfmt::skip]
    const SPECIFIED: &[&str] = &[
        "annotations", "attach", "blkio_config", "build", "cap_add", "cap_drop", "cgroup",
        "cgroup_parent", "command", "configs", "container_name", "cpu_count", "cpu_percent",
        "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
        "credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules", "devices",
        "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "env_file", "environment",
        "expose", "extends", "external_links", "extra_hosts", "gpus", "group_add", "healthcheck",
        "hostname", "image", "init", "ipc", "isolation", "label_file", "labels", "links", "logging",
        "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models",
        "network_mode", "networks", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit",
        "platform", "ports", "post_start", "pre_start", "pre_stop", "privileged", "profiles",
        "provider", "pull_policy", "pull_refresh_after", "read_only", "restart", "runtime", "scale",
        "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal",
        "storage_opt", "sysctls", "tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode",
        "uts", "volumes", "volumes_from", "working_dir",
    ];

    #[test]
    fn every_key_of_the_specification_is_carried_out_or_refused_by_its_name() {
        for key in SPECIFIED {
            // No key takes a map of this.
            let errors = errors_of(&format!("{key}: {{ nobody-has-this: [[x]] }}"));
            assert!(
                !errors.contains(&format!("unknown key {key:?}")),
                "{errors}"
            );
        }
        assert!(errors("restrat: x").contains("unknown key \"restrat\""));
    }

    /// Some keys take any map.
    fn errors_of(keys: &str) -> String {
        // What is given twice is always an error; the first is read.
        let source = format!("services: {{ w: {{ {keys} }} }}\nservices: {{}}");
        crate::config::compose::fixture::Fixture::new().errors(&source)
    }

    #[test]
    fn every_key_of_a_service_that_is_listed_is_refused_by_its_name() {
        for NotCarried { key, .. } in SERVICE {
            let refused = format!("\"{key}\" is a key of Compose that is not carried out here");
            let errors = errors(&format!("{key}: x"));
            assert!(errors.contains(&refused), "{errors}");
        }
    }
}
