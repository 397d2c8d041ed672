//! What is made is what Docker Compose would have made.
use std::time::Duration;

use super::yard::{Yard, free_port, port, run};
use crate::model::service::{
    FileMount, Healthcheck, Limits, Logging, Mount, MountSource, Restart, Tmpfs, Ulimit,
};
use crate::model::text::Secret;

#[tokio::test]
async fn a_container_is_made_as_docker_compose_makes_it() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &["ENV DROP=me STAY=here", r#"CMD ["sleep","1000"]"#]);
    let published = free_port();
    let folder = yard.folder.path().display().to_string();
    yard.compose_up(&format!(
        r#"version: "2.4"
services:
  web:
    image: {image}
    command: ["sleep", "1001"]
    environment: {{ MODE: "a b=c", DROP: }}
    labels: {{ team: edge }}
    ports: ["127.0.0.1:{published}:80/tcp"]
    expose: ["9000"]
    volumes:
      - data:/data
      - {folder}:/host:ro
      - {{ type: bind, source: {folder}, target: /bound, read_only: true }}
    tmpfs: ["/scratch:size=1m"]
    healthcheck: {{ test: ["CMD", "test", "-e", "/etc/site"], interval: 2s, timeout: 1500ms, retries: 4, start_period: 1s }}
    restart: unless-stopped
    user: "1:2"
    working_dir: /tmp
    hostname: front
    extra_hosts: ["db:192.0.2.1"]
    cpus: 0.5
    mem_limit: 64m
    pids_limit: 50
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    read_only: true
    security_opt: ["no-new-privileges"]
    devices: ["/dev/null:/dev/zero2:rw"]
    ulimits: {{ nofile: {{ soft: 100, hard: 200 }} }}
    sysctls: {{ net.core.somaxconn: "100" }}
    pid: host
    init: true
    shm_size: 8m
    stop_signal: SIGKILL
    stop_grace_period: 3s
    logging: {{ driver: json-file, options: {{ max-size: 1m }} }}
volumes: {{ data: {{}} }}
"#
    ));
    let mut web = yard.service("web", &image);
    let spec = &mut web.container;
    spec.command = Some(words(&["sleep", "1001"]));
    spec.environment
        .insert("MODE".to_owned(), Some(Secret::from("a b=c")));
    spec.environment.insert("DROP".to_owned(), None);
    spec.labels.insert("team".to_owned(), "edge".to_owned());
    spec.ports = vec![port(published, 80)];
    spec.expose = vec![(9000, crate::model::service::Protocol::Tcp)];
    let bind = |target: &str, create_host_path| Mount {
        source: MountSource::Bind {
            path: folder.clone(),
            propagation: None,
            create_host_path,
            selinux: None,
        },
        target: target.to_owned(),
        is_read_only: true,
    };
    spec.mounts = vec![
        Mount {
            source: MountSource::Volume {
                key: "data".to_owned(),
                nocopy: false,
                subpath: None,
            },
            target: "/data".to_owned(),
            is_read_only: false,
        },
        bind("/host", true),
        bind("/bound", false),
    ];
    spec.tmpfs = vec![Tmpfs {
        target: "/scratch".to_owned(),
        options: "size=1m".to_owned(),
    }];
    spec.healthcheck = Some(Healthcheck {
        test: words(&["CMD", "test", "-e", "/etc/site"]),
        interval: Some(Duration::from_secs(2)),
        timeout: Some(Duration::from_millis(1500)),
        start_period: Some(Duration::from_secs(1)),
        start_interval: None,
        retries: Some(4),
    });
    spec.restart = Restart::UnlessStopped;
    spec.user = Some("1:2".to_owned());
    spec.working_dir = Some("/tmp".to_owned());
    spec.hostname = Some("front".to_owned());
    spec.extra_hosts = vec![("db".to_owned(), "192.0.2.1".to_owned())];
    spec.limits = Limits {
        nano_cpus: Some(500_000_000),
        memory: Some(64 << 20),
        pids: Some(50),
        ..Limits::default()
    };
    spec.cap_add = words(&["NET_ADMIN"]);
    spec.cap_drop = words(&["MKNOD"]);
    spec.is_read_only = true;
    spec.security_opt = words(&["no-new-privileges"]);
    spec.devices = vec![crate::model::service::Device {
        host: "/dev/null".to_owned(),
        container: "/dev/zero2".to_owned(),
        permissions: "rw".to_owned(),
    }];
    spec.ulimits.insert(
        "nofile".to_owned(),
        Ulimit {
            soft: 100,
            hard: 200,
        },
    );
    spec.sysctls
        .insert("net.core.somaxconn".to_owned(), "100".to_owned());
    spec.namespaces.pid = Some("host".to_owned());
    spec.init = Some(true);
    spec.shm_size = Some(8 << 20);
    spec.stop_signal = Some("SIGKILL".to_owned());
    spec.stop_grace_period = Some(Duration::from_secs(3));
    spec.logging = Some(Logging {
        driver: Some("json-file".to_owned()),
        options: [("max-size".to_owned(), "1m".to_owned())].into(),
    });
    let mut project = yard.project(vec![web]);
    project
        .volumes
        .insert("data".to_owned(), yard.volume("data"));
    let engine = yard.engine(vec![project]);
    let before = engine.inventory_now().await;
    let theirs = inspect(before.containers[0].id.as_str());
    let after = engine.visit(&yard, 1).await;
    let ours = inspect(after.containers[0].id.as_str());

    for path in [
        "/Config/Cmd",
        "/Config/Env",
        "/Config/ExposedPorts",
        "/Config/Healthcheck",
        "/Config/User",
        "/Config/WorkingDir",
        "/Config/Hostname",
        "/Config/StopSignal",
        "/Config/StopTimeout",
        "/Config/Labels/team",
        "/HostConfig/PortBindings",
        "/HostConfig/Tmpfs",
        "/HostConfig/RestartPolicy",
        "/HostConfig/ExtraHosts",
        "/HostConfig/NanoCpus",
        "/HostConfig/Memory",
        "/HostConfig/PidsLimit",
        "/HostConfig/CapAdd",
        "/HostConfig/CapDrop",
        "/HostConfig/Privileged",
        "/HostConfig/ReadonlyRootfs",
        "/HostConfig/SecurityOpt",
        "/HostConfig/Devices",
        "/HostConfig/Ulimits",
        "/HostConfig/Sysctls",
        "/HostConfig/PidMode",
        "/HostConfig/Init",
        "/HostConfig/ShmSize",
        "/HostConfig/LogConfig",
    ] {
        let (one, other) = (sorted(ours.pointer(path)), sorted(theirs.pointer(path)));
        assert!(one.is_some(), "{path} is not there");
        assert_eq!(one, other, "{path}");
    }
    assert_eq!(mounts(&ours), mounts(&theirs));
}

#[tokio::test]
async fn files_are_copied_in_with_their_mode_and_owner() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    let file = |target: &str, mode, uid| FileMount {
        target: target.to_owned(),
        content: Secret::from("hush"),
        mode,
        uid,
        gid: 7,
    };
    web.container.files = vec![
        file("/run/secrets/key", 0o400, 5),
        file("/etc/conf", 0o644, 0),
        file("/tmp/note", 0o600, 0),
    ];
    let engine = yard.engine(vec![yard.project(vec![web.clone()])]);
    let after = engine.visit(&yard, 1).await;
    let id = after.containers[0].id.as_str();
    let stat = |path: &str| run("docker", &["exec", id, "stat", "-c", "%a %u %g", path]);
    assert_eq!(stat("/run/secrets/key"), "400 5 7");
    assert_eq!(stat("/run/secrets"), "755 0 0");
    assert_eq!(
        stat("/tmp"),
        "1777 0 0",
        "a folder of the image keeps its mode"
    );
    assert_eq!(run("docker", &["exec", id, "cat", "/etc/conf"]), "hush");

    web.container.tmpfs = vec![Tmpfs {
        target: "/run".to_owned(),
        options: String::new(),
    }];
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let problems = engine
        .unready(yard.preparation(2, &super::yard::leaving(&after)))
        .await;
    assert!(
        problems[0].what.contains("/run/secrets/key") && problems[0].what.contains("at /run"),
        "{problems:?}"
    );
}

fn inspect(id: &str) -> serde_json::Value {
    let text = run("docker", &["inspect", id]);
    serde_json::from_str::<serde_json::Value>(&text).unwrap()[0].clone()
}

/// Lists whose order means nothing, in one order.
fn sorted(value: Option<&serde_json::Value>) -> Option<serde_json::Value> {
    let mut value = value?.clone();
    if let Some(list) = value.as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
    Some(value)
}

fn mounts(inspected: &serde_json::Value) -> Vec<String> {
    let all = inspected["Mounts"].as_array().unwrap().iter();
    let mut all: Vec<String> = all
        .map(|mount| {
            let field = |name: &str| mount[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} {} {}",
                field("Type"),
                field("Source"),
                field("Destination"),
                mount["RW"]
            )
        })
        .collect();
    all.sort();
    all
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
