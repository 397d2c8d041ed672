//! One service of a Compose file.
use std::ops::Range;

use super::container::{
    read_command, read_dns, read_extra_hosts, read_label_files, read_logging, read_mac_address,
    read_platform, read_pull_policy, read_restart, read_ulimits,
};
use super::deploy::{REPLICAS, read_deploy};
use super::environment::{EnvFiles, Named, read_environment};
use super::healthcheck::read_healthcheck;
use super::hooks::read_hooks;
use super::limits::read_limits;
use super::mounts::Mounts;
use super::neighbours::{self, read_volumes_from};
use super::ports::{read_expose, read_ports};
use super::rights::read_rights;
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::node::Entry;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::files::{Contents, FileKind, read_grants};
use crate::config::compose::networks::{read_attachments, read_network_mode};
use crate::config::compose::not_carried;
use crate::config::compose::order::{Link, read_links};
use crate::config::compose::text::quantity;
use crate::model::id::ServiceName;
use crate::model::image::ImageRef;
use crate::model::service::{ContainerSpec, Keep, NetworkMode, Port, Service};

/// What a service may refer to.
pub(crate) struct Scope<'s> {
    pub(crate) networks: Vec<&'s str>,
    pub(crate) volumes: Vec<&'s str>,
    pub(crate) configs: Contents,
    pub(crate) secrets: Contents,
    /// Whether a service is kept that says nothing about it.
    pub(crate) keep: Keep,
}

/// A service before its place among the others is known. Its `depends_on` is still empty.
pub(crate) struct Draft {
    pub(crate) service: Service,
    /// Of its key.
    pub(crate) span: Range<usize>,
    pub(crate) links: Vec<Link>,
    pub(crate) ports: Vec<(Port, Range<usize>)>,
}

/// Reads one entry of `services`. `None`: it has no good name or image; that was reported.
pub(crate) fn read_service(
    reader: &mut Reader<'_>,
    entry: &Entry,
    scope: &Scope<'_>,
    files: &mut EnvFiles<'_>,
) -> Option<Draft> {
    let name = match entry.key.parse::<ServiceName>() {
        Ok(name) => Some(name),
        Err(error) => {
            reader.error(&entry.key_span, error.to_string());
            None
        }
    };
    let mut fields = reader.fields(entry.value());
    let image = fields.take("image");
    let has_build = fields.has("build");
    // Whether it is read at all was asked before.
    fields.take("profiles");
    let links = read_links(reader, &mut fields);
    let deploy = fields.read(reader, "deploy", read_deploy);
    let deploy = deploy.unwrap_or_default();
    let replicas = read_scale(reader, &mut fields, deploy.replicas);
    let keep = fields
        .take_given("x-cleanslate")
        .and_then(|value| read_own(reader, value));
    let ports = fields.read(reader, "ports", read_ports);
    let mut container = ContainerSpec {
        limits: deploy.limits,
        device_requests: deploy.devices,
        restart: deploy.restart.unwrap_or_default(),
        ..ContainerSpec::default()
    };
    read_limits(reader, &mut fields, &mut container.limits);
    read_identity(reader, &mut fields, (&mut container, replicas), files);
    read_process(reader, &mut fields, &mut container);
    read_lifecycle(reader, &mut fields, &mut container, files.variables);
    read_rights(reader, &mut fields, &mut container, files.sources);
    read_storage(reader, &mut fields, &mut container, (&entry.key, scope));
    read_surroundings(reader, &mut fields, &mut container, files);
    let ports = ports.unwrap_or_default();
    container.ports = ports.iter().map(|(port, _)| port.clone()).collect();
    read_networking(reader, &mut fields, &mut container, scope);
    fields.finish(reader, not_carried::SERVICE);
    let (image, follows_channel) = match image {
        Some(value) => read_image(reader, value)?,
        None => {
            if !has_build {
                reader.error(&entry.key_span, format!("{:?} has no \"image\"", entry.key));
            }
            return None;
        }
    };
    let service = Service {
        name: name?,
        image,
        follows_channel,
        keep: keep.unwrap_or(scope.keep),
        replicas,
        depends_on: std::collections::BTreeMap::new(),
        container,
    };
    Some(Draft {
        service,
        span: entry.key_span.clone(),
        links,
        ports,
    })
}

/// The reference, and whether the channel's name flowed into it.
fn read_image(reader: &mut Reader<'_>, value: Value<'_>) -> Option<(ImageRef, bool)> {
    let text = reader.open_text(value)?;
    match text.value.parse::<ImageRef>() {
        Ok(image) => Some((image, text.uses.contains("CHANNEL"))),
        Err(error) => {
            reader.error(&value.node.span, error.to_string());
            None
        }
    }
}

/// `x-cleanslate`: whether the service is kept.
fn read_own(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Keep> {
    let mut fields = reader.fields(value);
    let keep = fields
        .take_given("recreate")
        .and_then(|value| reader.word(value, &[("always", Keep::No), ("keep", Keep::Yes)]));
    fields.finish(reader, &[]);
    keep
}

/// `scale`, or what `deploy` says: one where neither does.
fn read_scale(reader: &mut Reader<'_>, fields: &mut Fields<'_>, deployed: Option<u32>) -> u32 {
    let scale = fields.take_given("scale");
    let own = scale.and_then(|value| reader.parsed(value, REPLICAS, |text| text.parse().ok()));
    if let (Some(value), Some(own), Some(deployed)) = (scale, own, deployed)
        && own != deployed
    {
        let message = "\"scale\" and `deploy.replicas` say different things";
        reader.error_with_hint(&value.node.span, message, "leave one of them out");
    }
    own.or(deployed).unwrap_or(1)
}

fn read_identity(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    (container, replicas): (&mut ContainerSpec, u32),
    files: &mut EnvFiles<'_>,
) {
    if let Some(value) = fields.take_given("container_name") {
        let name = reader.parsed(value, "a name of a-z, A-Z, 0-9, _, . and -", container_name);
        if name.is_some() && replicas > 1 {
            let message = format!("{replicas} replicas cannot share one \"container_name\"");
            reader.error_with_hint(&value.node.span, message, "remove it");
        }
        container.container_name = name;
    }
    container.hostname = fields.text(reader, "hostname");
    container.domainname = fields.text(reader, "domainname");
    container.labels = read_label_files(reader, fields, files);
    container
        .labels
        .extend(fields.assignments(reader, "labels"));
    container.annotations = fields.assignments(reader, "annotations");
}

fn read_process(reader: &mut Reader<'_>, fields: &mut Fields<'_>, container: &mut ContainerSpec) {
    container.command = fields
        .take("command")
        .and_then(|value| read_command(reader, value));
    container.entrypoint = fields
        .take("entrypoint")
        .and_then(|value| read_command(reader, value));
    container.user = fields.text(reader, "user");
    container.working_dir = fields.text(reader, "working_dir");
    container.init = fields.flag(reader, "init");
    container.ulimits = fields
        .read(reader, "ulimits", read_ulimits)
        .unwrap_or_default();
    container.shm_size = fields.parsed(reader, "shm_size", quantity::BYTES, quantity::bytes);
    container.has_tty = fields.flag(reader, "tty").unwrap_or_default();
    container.has_stdin = fields.flag(reader, "stdin_open").unwrap_or_default();
    // What `docker compose up` shows on a terminal: nothing of the container.
    fields.flag(reader, "attach");
}

fn read_lifecycle(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
    named: Named<'_>,
) {
    container.healthcheck = fields.read(reader, "healthcheck", read_healthcheck);
    if let Some(restart) = fields.read(reader, "restart", read_restart).flatten() {
        container.restart = restart;
    }
    container.stop_signal = fields.text(reader, "stop_signal");
    container.stop_grace_period = fields.parsed(
        reader,
        "stop_grace_period",
        quantity::DURATION,
        quantity::duration,
    );
    container.pull_policy = fields
        .read(reader, "pull_policy", read_pull_policy)
        .flatten()
        .unwrap_or_default();
    container.logging = fields.read(reader, "logging", read_logging);
    container.runtime = fields.text(reader, "runtime");
    container.platform = read_platform(reader, fields);
    let mut hooks = |key| {
        let read = fields.take_given(key);
        read.map(|value| read_hooks(reader, value, named))
            .unwrap_or_default()
    };
    container.post_start = hooks("post_start");
    container.pre_stop = hooks("pre_stop");
}

fn read_storage(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
    (service, scope): (&str, &Scope<'_>),
) {
    let mut mounts = Mounts::new(service, &scope.volumes);
    if let Some(value) = fields.take_given("volumes") {
        mounts.read_volumes(reader, value);
    }
    if let Some(value) = fields.take_given("tmpfs") {
        mounts.read_tmpfs(reader, value);
    }
    let grants = [
        (
            fields.take_given("configs"),
            FileKind::Config,
            &scope.configs,
        ),
        (
            fields.take_given("secrets"),
            FileKind::Secret,
            &scope.secrets,
        ),
    ];
    for (value, kind, contents) in grants {
        if let Some(value) = value {
            container
                .files
                .extend(read_grants(reader, value, kind, contents, &mut mounts));
        }
    }
    container.mounts = mounts.mounts;
    container.tmpfs = mounts.tmpfs;
    container.storage_opt = fields.assignments(reader, "storage_opt");
    container.volumes_from = read_volumes_from(reader, fields);
}

fn read_surroundings(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
    files: &mut EnvFiles<'_>,
) {
    let environment = fields.take_given("environment");
    let env_file = fields.take_given("env_file");
    container.environment = read_environment(reader, environment, env_file, files);
    container.extra_hosts = fields
        .read(reader, "extra_hosts", read_extra_hosts)
        .unwrap_or_default();
    container.dns = read_dns(reader, fields);
    container.expose = fields
        .read(reader, "expose", read_expose)
        .unwrap_or_default();
}

/// The namespaces of others have networks and ports already.
fn read_networking(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
    scope: &Scope<'_>,
) {
    let networks = fields.take_given("networks");
    let links_at = ["links", "external_links", "mac_address"].map(|key| fields.peek(key));
    container.links = neighbours::read_links(reader, fields);
    container.external_links = neighbours::read_external_links(reader, fields);
    container.mac_address = read_mac_address(reader, fields);
    let Some(mode) = fields.take_given("network_mode") else {
        container.networks = read_attachments(reader, networks, &scope.networks);
        return;
    };
    container.network_mode = read_network_mode(reader, mode).unwrap_or_default();
    let span = &mode.node.span;
    if networks.is_some() {
        reader.error(span, "\"network_mode\" does not go with \"networks\"");
    }
    for value in links_at.into_iter().flatten() {
        let message = format!("{:?} needs the networks of the project", value.name);
        reader.error_with_hint(&value.node.span, message, "remove it, or \"network_mode\"");
    }
    let can_publish = match container.network_mode {
        NetworkMode::Project | NetworkMode::Bridge => true,
        NetworkMode::Host
        | NetworkMode::None
        | NetworkMode::Service(_)
        | NetworkMode::Container(_) => false,
    };
    if !can_publish && !container.ports.is_empty() {
        let message = "\"ports\" cannot be published with this \"network_mode\"";
        reader.error_with_hint(span, message, "remove \"ports\"");
    }
}

fn container_name(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_good = text.len() > 1
        && text.len() <= 200
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_part);
    is_good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{Fixture, assert_same, errors, service};
    use crate::model::service::Keep;

    #[test]
    fn every_plain_key_reaches_the_container() {
        let web = service(
            "container_name: web-1\nhostname: www\nuser: 1000:1000\nworking_dir: /srv\ninit: true\n\
             shm_size: 64m\nstop_signal: SIGQUIT\nstop_grace_period: 1m30s\nread_only: true\n\
             privileged: yes\ncap_add: [NET_ADMIN]\ncap_drop: [ALL]\npid: host\n\
             security_opt: [\"no-new-privileges:true\", \"seccomp:unconfined\"]\n\
             logging: { driver: json-file, options: { max-size: 10m, max-file: 3 } }\n\
             x-note: { any: [thing] }",
        );
        insta::assert_debug_snapshot!(web, @r#"
        Service {
            name: "web",
            image: ImageRef {
                registry: "docker.io",
                repository: "library/web",
                version: Tag(
                    "latest",
                ),
            },
            follows_channel: false,
            keep: No,
            replicas: 1,
            depends_on: {},
            container: ContainerSpec {
                container_name: Some(
                    "web-1",
                ),
                command: None,
                entrypoint: None,
                environment: {},
                labels: {},
                ports: [],
                expose: [],
                mounts: [],
                tmpfs: [],
                files: [],
                network_mode: Project,
                networks: [
                    Attachment {
                        network: "default",
                        aliases: [],
                        ipv4_address: None,
                        ipv6_address: None,
                        link_local_ips: [],
                        mac_address: None,
                        driver_opts: {},
                        gw_priority: None,
                    },
                ],
                healthcheck: None,
                restart: No,
                user: Some(
                    "1000:1000",
                ),
                working_dir: Some(
                    "/srv",
                ),
                hostname: Some(
                    "www",
                ),
                domainname: None,
                extra_hosts: [],
                dns: Dns {
                    servers: [],
                    search: [],
                    options: [],
                },
                mac_address: None,
                links: [],
                external_links: [],
                limits: Limits {
                    nano_cpus: None,
                    cpu_shares: None,
                    cpu_period: None,
                    cpu_quota: None,
                    cpu_rt_period: None,
                    cpu_rt_runtime: None,
                    cpuset: None,
                    memory: None,
                    memory_reservation: None,
                    memory_swap: None,
                    memory_swappiness: None,
                    oom_kill_disable: None,
                    oom_score_adj: None,
                    pids: None,
                    blkio: Blkio {
                        weight: None,
                        weight_device: [],
                        read_bps: [],
                        write_bps: [],
                        read_iops: [],
                        write_iops: [],
                    },
                },
                cap_add: [
                    "NET_ADMIN",
                ],
                cap_drop: [
                    "ALL",
                ],
                is_privileged: true,
                is_read_only: true,
                security_opt: [
                    "no-new-privileges:true",
                    "seccomp:unconfined",
                ],
                devices: [],
                device_cgroup_rules: [],
                device_requests: [],
                group_add: [],
                ulimits: {},
                sysctls: {},
                namespaces: Namespaces {
                    pid: Some(
                        "host",
                    ),
                    ipc: None,
                    uts: None,
                    user: None,
                    cgroup: None,
                },
                cgroup_parent: None,
                init: Some(
                    true,
                ),
                has_tty: false,
                has_stdin: false,
                shm_size: Some(
                    67108864,
                ),
                stop_signal: Some(
                    "SIGQUIT",
                ),
                stop_grace_period: Some(
                    90s,
                ),
                logging: Some(
                    Logging {
                        driver: Some(
                            "json-file",
                        ),
                        options: {
                            "max-file": "3",
                            "max-size": "10m",
                        },
                    },
                ),
                annotations: {},
                runtime: None,
                platform: None,
                storage_opt: {},
                volumes_from: [],
                post_start: [],
                pre_stop: [],
                pull_policy: Missing,
            },
        }
        "#);
    }

    #[test]
    fn an_image_follows_the_channel_when_the_channel_flows_into_it() {
        let follows = |image: &str| {
            let source = format!("services: {{ web: {{ image: \"{image}\" }} }}");
            let project = Fixture::new().project(&source);
            (
                project.services[0].image.to_string(),
                project.services[0].follows_channel,
            )
        };
        assert_eq!(
            follows("r.io/web:${CHANNEL}"),
            ("r.io/web:master".to_owned(), true)
        );
        assert!(follows("r.io/web:$CHANNEL").1);
        assert!(follows("r.io/web:${TAG:-${CHANNEL}}").1);
        assert_eq!(
            follows("r.io/web:master"),
            ("r.io/web:master".to_owned(), false)
        );
        assert_eq!(
            follows("web:${N:-$CHANNEL}"),
            ("docker.io/library/web:2".to_owned(), false)
        );
    }

    #[test]
    fn a_service_is_kept_when_it_says_so_or_its_project_does() {
        assert!(service("x-cleanslate: { recreate: keep }").is_kept());
        assert!(!service("x-cleanslate: { recreate: always }").is_kept());
        let mut fixture = Fixture::new();
        fixture.request.keep = Keep::Yes;
        let project = fixture.project(
            "services:\n  a: { image: a }\n  b: { image: b, x-cleanslate: { recreate: always } }",
        );
        assert_eq!(
            project
                .services
                .iter()
                .map(|s| s.is_kept())
                .collect::<Vec<_>>(),
            [true, false]
        );
        insta::assert_snapshot!(errors("x-cleanslate: { recreate: kep, other: 1 }\ndeploy: { x-cleanslate: {} }"), @r#"
        4:31 "recreate" must be always or keep, not "kep"
            = did you mean "keep"?
        4:36 unknown key "other"
        5:15 "x-cleanslate" means nothing here
            = it stands in a service
        "#);
    }

    #[test]
    fn flags_are_read_as_compose_reads_them() {
        for (yes, no) in [
            ("true", "false"),
            ("yes", "no"),
            ("\"on\"", "off"),
            ("1", "0"),
        ] {
            assert_same(
                &format!("read_only: {yes}\ninit: {no}"),
                "read_only: true\ninit: false",
            );
        }
    }

    #[test]
    fn a_key_is_carried_out_or_refused_by_its_name() {
        insta::assert_snapshot!(
            errors(
                "restrat: always\nbuild: .\nprofiles: [x]\nextends: base\ncpus: 2\nlinks: [db]\n\
                 tty: true\nenviroment: {}\nX-note: 1\n\"\": 1"
            ),
            @r#"
            1:1 every service of the file is of a profile that is not asked for
                = name one in the variable COMPOSE_PROFILES, in `vars` of site.toml
            7:14 the service "base" is not in compose.yaml
            "#
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        insta::assert_snapshot!(
            errors(
                "user: [1]\nhostname: {}\ncap_add: NET_ADMIN\nread_only: maybe\nworking_dir: \"\"\n\
                 environment: x\nports: { 80: 80 }\nstop_grace_period: 10\nshm_size: 64q\n\
                 container_name: a b\npid: hots\nsecurity_opt: [\"seccomp:./profile.json\"]"
            ),
            @r#"
            4:11 "user" must be text, this is a list
            5:15 "hostname" must be text, this is a map
            6:14 "cap_add" must be a list, this is text
            7:16 "read_only" must be true or false, not "maybe"
            9:18 "environment" must be a map, this is text
            10:12 "ports" must be a list, this is a map
            11:24 "stop_grace_period" must be a duration such as "1m30s", not "10"
            12:15 "shm_size" must be a size such as "64m" or "1gb", not "64q"
            13:21 "container_name" must be a name of a-z, A-Z, 0-9, _, . and -, not "a b"
            14:10 "pid" must be host, service:NAME or container:NAME, not "hots"
            15:20 cannot read "DIR/profile.json": there is no such file
            "#
        );
    }

    #[test]
    fn a_secret_may_not_become_visible() {
        insta::assert_snapshot!(
            errors(
                "command: run --password=${PASSWORD}\nlabels: { a: \"${PASSWORD}\" }\n\
                 healthcheck: { test: \"check ${PASSWORD}\" }\nhostname: ${PASSWORD:-x}\n\
                 logging: { options: { token: $PASSWORD } }\nuser: ${PASSWORD:+root}"
            ),
            @r#"
        4:14 a secret would be visible in "command"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        5:15 a secret would be visible in "labels"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        6:26 a secret would be visible in "test"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        7:15 a secret would be visible in "hostname"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        8:27 a secret would be visible in "options"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        "#
        );
        let source = "services: { web: { image: \"r.io/web:${PASSWORD}\" } }";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        1:27 a secret would be visible in "image"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        "#);
    }

    #[test]
    fn a_variable_that_is_not_defined_is_refused_where_it_stands() {
        insta::assert_snapshot!(
            errors(
                "command: [run, \"${CHANEL}\", \"a ${NOWHERE} b $OTHER\"]\nhostname: ${REGION:?set the region}\n\
                 user: ${EMPTY:?}\nlabels: [\"a=${1}\", \"b=${open\"]\nx-note: ${FREE}"
            ),
            @r#"
        4:21 the variable "CHANEL" is not defined
            = did you mean "CHANNEL"?
        4:36 the variable "NOWHERE" is not defined
            = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file; ${NOWHERE:-…} gives a default; $$ is a dollar sign
        4:49 the variable "OTHER" is not defined
            = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file; ${OTHER:-…} gives a default; $$ is a dollar sign
        5:15 the variable "REGION" is required: set the region
            = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file
        6:11 the variable "EMPTY" is required
            = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file
        7:17 this is no reference to a variable
            = the forms are ${NAME}, ${NAME:-default}, ${NAME:?error}, ${NAME:+other}; $$ is a dollar sign
        7:27 a "}" is missing
            = $$ is a dollar sign
        "#
        );
    }
}
