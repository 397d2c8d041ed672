//! A fleet of one host on the machine's engine, a registry of its own, and a broom.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::fixture;
use crate::coordinator::effect::{EngineRequest, Made, Preparation};
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::engine::{Engine, HostContext};
use crate::model::fleet::{EngineAddress, Host, Registry};
use crate::model::id::{ContainerId, Epoch};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::inventory::{Container, Inventory, Role};
use crate::model::playbook::{Anonymous, Volumes};
use crate::model::service::{
    Attachment, Healthcheck, Network, Port, Project, Protocol, PublishedPort, Service, Volume,
};

pub(super) const SOCKET: &str = "/var/run/docker.sock";
const BUSYBOX: &str = "/bin/busybox";

/// Everything of one test. Whatever carries its name is removed when it is dropped.
pub(super) struct Yard {
    /// Of the fleet and the project.
    pub(super) name: String,
    pub(super) folder: tempfile::TempDir,
    registry: Child,
    registry_port: u16,
    pub(super) pins: Pins,
}

impl Yard {
    pub(super) fn new() -> Yard {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        let registry_port = free_port();
        Yard {
            name: format!("cst{}x{count}", std::process::id()),
            registry: serve_registry(folder.path(), registry_port, ""),
            folder,
            registry_port,
            pins: Pins::new(),
        }
    }

    /// A second registry on the same images, with `auth`: `HOST:PORT`, until it is dropped.
    pub(super) fn locked_registry(&self, auth: &str) -> Locked {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let images = self.folder.path().join("registry");
        std::os::unix::fs::symlink(images, folder.path().join("registry")).unwrap();
        let registry = serve_registry(folder.path(), port, auth);
        Locked {
            address: format!("127.0.0.1:{port}"),
            registry,
            _folder: folder,
        }
    }

    /// Imports an image of busybox with these Dockerfile instructions and pushes it.
    pub(super) fn image(&mut self, tag: &str, changes: &[&str]) -> ImageRef {
        let name = format!("127.0.0.1:{}/{}:{tag}", self.registry_port, self.name);
        import(&name, changes);
        run("docker", &["push", "-q", &name]);
        let digest = run(
            "docker",
            &["image", "inspect", "-f", "{{index .RepoDigests 0}}", &name],
        );
        let image: ImageRef = name.parse().unwrap();
        let digest: Digest = digest.split_once('@').unwrap().1.parse().unwrap();
        self.pins.insert(image.clone(), digest);
        image
    }

    /// A web server on port 80 that serves `/etc`.
    pub(super) fn web_image(&mut self, tag: &str) -> ImageRef {
        let version = format!("ENV VERSION={tag}");
        let serve = r#"CMD ["httpd","-f","-p","80","-h","/etc"]"#;
        self.image(tag, &[serve, &version])
    }

    /// A service on the project's default network, soon healthy. What it runs heeds no signal: it
    /// is killed.
    pub(super) fn service(&self, name: &str, image: &ImageRef) -> Service {
        let mut service = fixture::service(name, &image.to_string());
        service.container.networks = vec![attachment("default")];
        service.container.stop_grace_period = Some(std::time::Duration::from_millis(500));
        service.container.healthcheck = Some(healthcheck("test -e /etc/site"));
        service
    }

    /// The project, with a default network.
    pub(super) fn project(&self, services: Vec<Service>) -> Project {
        let mut project = fixture::project(&self.name, services);
        project.networks = BTreeMap::from([("default".to_owned(), self.network("default"))]);
        project.working_dir = self.folder.path().to_owned();
        project.config_files = vec![self.folder.path().join("compose.yaml")];
        project
    }

    pub(super) fn network(&self, key: &str) -> Network {
        fixture::bare_network(&format!("{}_{key}", self.name))
    }

    pub(super) fn volume(&self, key: &str) -> Volume {
        Volume {
            name: format!("{}_{key}", self.name),
            is_external: false,
            driver: None,
            driver_opts: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    pub(super) fn engine(&self, projects: Vec<Project>) -> Engine {
        self.engine_at(
            EngineAddress::Unix(SOCKET.into()),
            projects,
            BTreeMap::new(),
        )
    }

    pub(super) fn engine_at(
        &self,
        address: EngineAddress,
        projects: Vec<Project>,
        registries: BTreeMap<String, Registry>,
    ) -> Engine {
        assert!(
            Path::new(SOCKET).exists(),
            "no Docker engine at {SOCKET}: apt install docker.io"
        );
        Engine::new(Arc::new(HostContext {
            fleet: self.name.parse().unwrap(),
            site: "nyc".parse().unwrap(),
            host: host(address, projects),
            registries,
            spec_key: [42; 32],
        }))
    }

    pub(super) fn preparation(&self, epoch: u64, leaving: &[&Container]) -> Preparation {
        Preparation {
            rotation: "nightly-20260101T030000-ABCD".parse().unwrap(),
            epoch: Epoch(epoch),
            hold: "HOLDABC".parse().unwrap(),
            pins: self.pins.clone(),
            anonymous: Anonymous::Refuse,
            volumes: Volumes::Keep,
            leaving: leaving.iter().map(|one| one.id.clone()).collect(),
        }
    }

    /// Writes a Compose file and brings it up as a person would have.
    pub(super) fn compose_up(&self, yaml: &str) {
        std::fs::write(self.folder.path().join("compose.yaml"), yaml).unwrap();
        self.compose(&["up", "-d"]);
    }

    pub(super) fn compose(&self, args: &[&str]) -> String {
        let file = self.compose_file();
        let file = file.to_string_lossy();
        let base = ["-p", &self.name, "-f", &file];
        run("docker-compose", &[&base, args].concat())
    }

    /// `docker run -d` of a container that is none of the project's.
    pub(super) fn stranger(&self, name: &str, args: &[&str]) -> ContainerId {
        let name = format!("{}-{name}", self.name);
        self.run_named(&name, args)
    }

    pub(super) fn run_named(&self, name: &str, args: &[&str]) -> ContainerId {
        let label = format!("cleanslate.test={}", self.name);
        let base = ["run", "-d", "--name", name, "--label", &label];
        run("docker", &[&base, args].concat()).parse().unwrap()
    }

    /// Ids of what this fleet has on the engine: `container`, `network`, `volume`.
    pub(super) fn ours(&self, kind: &str) -> Vec<String> {
        self.labelled(kind, "cleanslate.fleet")
    }

    fn compose_file(&self) -> PathBuf {
        self.folder.path().join("compose.yaml")
    }

    fn labelled(&self, kind: &str, label: &str) -> Vec<String> {
        let filter = format!("label={label}={}", self.name);
        let all: &[&str] = if kind == "container" { &["-a"] } else { &[] };
        let args = [&[kind, "ls", "-q", "--filter", &filter], all].concat();
        run("docker", &args).lines().map(str::to_owned).collect()
    }

    fn sweep(&self) {
        for kind in ["container", "network", "volume"] {
            for label in [
                "cleanslate.fleet",
                "com.docker.compose.project",
                "cleanslate.test",
            ] {
                for id in self.labelled(kind, label) {
                    let force: &[&str] = if kind == "container" {
                        &["-f", "-v"]
                    } else {
                        &[]
                    };
                    try_run("docker", &[&[kind, "rm"], force, &[&id]].concat());
                }
            }
        }
        let reference = format!("reference=127.0.0.1:{}/*", self.registry_port);
        let images = try_run("docker", &["image", "ls", "-q", "--filter", &reference]);
        for id in images.lines().collect::<BTreeSet<&str>>() {
            try_run("docker", &["image", "rm", "-f", id]);
        }
    }
}

/// A registry that asks who you are.
pub(super) struct Locked {
    pub(super) address: String,
    registry: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.registry.kill().unwrap();
        self.registry.wait().unwrap();
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.sweep();
        self.registry.kill().unwrap();
        self.registry.wait().unwrap();
    }
}

/// Requests, with the answer that is hoped for.
impl Engine {
    pub(super) async fn ask(&self, request: EngineRequest) -> EngineOutcome {
        self.carry_out(&request, |_| ()).await
    }

    pub(super) async fn inventory_now(&self) -> Inventory {
        match self.ask(EngineRequest::TakeInventory).await {
            EngineOutcome::Inventory(inventory) => Arc::unwrap_or_clone(inventory),
            other => panic!("no inventory: {other:?}"),
        }
    }

    pub(super) async fn prepared(&self, preparation: Preparation) -> Vec<Made> {
        match self
            .ask(EngineRequest::Prepare(Box::new(preparation)))
            .await
        {
            EngineOutcome::Prepared {
                containers,
                is_proof: false,
            } => containers,
            other => panic!("not prepared: {other:?}"),
        }
    }

    pub(super) async fn unready(&self, preparation: Preparation) -> Vec<Problem> {
        match self
            .ask(EngineRequest::Prepare(Box::new(preparation)))
            .await
        {
            EngineOutcome::Unready(problems) => problems,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) async fn started(&self, containers: Vec<Made>) {
        let outcome = self.ask(EngineRequest::Start { containers }).await;
        assert_eq!(outcome, EngineOutcome::Started { hooks: vec![] });
    }

    pub(super) async fn not_started(&self, containers: Vec<Made>) -> String {
        match self.ask(EngineRequest::Start { containers }).await {
            EngineOutcome::NotStarted { problem, .. } => problem.what,
            other => panic!("started: {other:?}"),
        }
    }

    /// A whole visit of this host; the inventory afterwards.
    pub(super) async fn visit(&self, yard: &Yard, epoch: u64) -> Inventory {
        let before = self.inventory_now().await;
        let leaving = leaving(&before);
        let made = self.prepared(yard.preparation(epoch, &leaving)).await;
        let containers = leaving.iter().map(|one| one.id.clone()).collect();
        let cleared = self
            .ask(EngineRequest::Clear {
                containers,
                volumes: Volumes::Keep,
                anonymous: Anonymous::Refuse,
            })
            .await;
        let removed = u32::try_from(leaving.len()).unwrap();
        let hooks = vec![];
        assert_eq!(cleared, EngineOutcome::Cleared { removed, hooks });
        self.started(made).await;
        self.inventory_now().await
    }
}

/// The only host.
pub(super) fn host(engine: EngineAddress, projects: Vec<Project>) -> Host {
    Host {
        name: "nyc1".parse().unwrap(),
        engine,
        channel: "master".parse().unwrap(),
        address: None,
        projects,
    }
}

/// What a visit removes.
pub(super) fn leaving(inventory: &Inventory) -> Vec<&Container> {
    let all = inventory.containers.iter();
    all.filter(|one| one.role == Role::Recreated).collect()
}

pub(super) fn attachment(network: &str) -> Attachment {
    Attachment {
        network: network.to_owned(),
        ..Attachment::default()
    }
}

/// Every 300 ms, one failure is one too many.
pub(super) fn healthcheck(test: &str) -> Healthcheck {
    Healthcheck {
        test: vec!["CMD-SHELL".to_owned(), test.to_owned()],
        interval: Some(std::time::Duration::from_millis(300)),
        timeout: Some(std::time::Duration::from_secs(10)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    }
}

/// `127.0.0.1:PUBLISHED:TARGET`.
pub(super) fn port(published: u16, target: u16) -> Port {
    Port {
        host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        published: Some(PublishedPort::Fixed(published)),
        target,
        protocol: Protocol::Tcp,
    }
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Standard output of a program that must succeed.
pub(super) fn run(program: &str, args: &[&str]) -> String {
    let output = command(program, args).output().unwrap_or_else(|error| {
        panic!("cannot run {program}: {error}; apt install docker.io docker-compose apache2-utils")
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Standard output of a program that may fail, as cleaning up may.
fn try_run(program: &str, args: &[&str]) -> String {
    let output = command(program, args).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

fn import(name: &str, changes: &[&str]) {
    let mut args = vec!["import"];
    args.extend(changes.iter().flat_map(|change| ["-c", change]));
    args.extend(["-", name]);
    let mut import = Command::new("docker")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("apt install docker.io");
    let mut pipe = import.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, &busybox_tree()).unwrap();
    drop(pipe);
    assert!(import.wait().unwrap().success());
}

fn busybox_tree() -> Vec<u8> {
    let busybox = std::fs::read(BUSYBOX).expect("apt install busybox-static");
    let mut tree = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tree.append_data(&mut header, path, content).unwrap();
    };
    for folder in ["bin/", "etc/", "run/"] {
        add(folder, tar::EntryType::Directory, 0o755, b"");
    }
    add("tmp/", tar::EntryType::Directory, 0o1777, b"");
    add("bin/busybox", tar::EntryType::Regular, 0o755, &busybox);
    add("etc/site", tar::EntryType::Regular, 0o644, b"cleanslate\n");
    for applet in [
        "sh", "httpd", "sleep", "echo", "cat", "stat", "touch", "test", "wget",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        let path = format!("bin/{applet}");
        tree.append_link(&mut header, path, "busybox").unwrap();
    }
    tree.into_inner().unwrap()
}

fn serve_registry(folder: &Path, port: u16, auth: &str) -> Child {
    let config = folder.join("registry.yaml");
    let root = folder.join("registry");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: '127.0.0.1:{port}' }}\n{auth}",
        root.display()
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("apt install docker-registry");
    let deadline = std::time::Duration::from_secs(20);
    let mut waited = std::time::Duration::ZERO;
    let step = std::time::Duration::from_millis(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(waited < deadline, "docker-registry does not answer");
        pause(step);
        waited += step;
    }
    child
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when a program listens"
)]
fn pause(step: std::time::Duration) {
    std::thread::sleep(step);
}
