//! The machine's own engine, a registry, and one image: what each of the two makes of a file there.
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cleanslate::config::compose::{Request, Variable, read};
use cleanslate::config::sources::Sources;
use cleanslate::coordinator::effect::{EngineRequest, Preparation};
use cleanslate::coordinator::outcome::EngineOutcome;
use cleanslate::engine::{Engine, HostContext};
use cleanslate::model::fleet::{EngineAddress, Host};
use cleanslate::model::id::Epoch;
use cleanslate::model::image::{Digest, ImageRef, Pins};
use cleanslate::model::playbook::{Anonymous, Volumes};
use cleanslate::model::service::{Keep, Project};
use cleanslate::model::text::Secret;
use serde_json::Value;

use super::CORPUS;
use super::compare::Account;
use crate::lab::ground::program::wait_until;

const SOCKET: &str = "/var/run/docker.sock";
/// What a file of the corpus may take as given.
const SHARED: &str = "cscorpus-shared";

/// Everything that it makes carries its name, and is removed when it is dropped.
pub(super) struct Stage {
    /// Of the project.
    name: String,
    _folder: tempfile::TempDir,
    registry: Child,
    image: String,
    pins: Pins,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let port = free_port();
        // Fixed names and addresses of the corpus are taken by one at a time.
        let folder = tempfile::tempdir().unwrap();
        let registry = serve_registry(folder.path(), port);
        let name = format!("csc{}", std::process::id());
        let image = format!("127.0.0.1:{port}/{name}:v1");
        import(&image);
        run("docker", &["push", "-q", &image]);
        let digests = "{{index .RepoDigests 0}}";
        let pinned = run("docker", &["image", "inspect", "-f", digests, &image]);
        let digest: Digest = pinned.split_once('@').unwrap().1.parse().unwrap();
        let reference: ImageRef = image.parse().unwrap();
        Stage {
            name,
            _folder: folder,
            registry,
            image,
            pins: Pins::from([(reference, digest)]),
        }
    }

    pub(super) fn by_docker_compose(&self, files: &[PathBuf]) -> Result<Account, String> {
        self.sweep();
        self.share();
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        if !texts
            .into_iter()
            .any(|text| text.contains("condition: service_"))
        {
            self.docker_compose_makes(files, &[])?;
            return Ok(self.account());
        }
        // It waits for conditions even where nothing is started, but not for what it was not asked for.
        for service in self.project(files)?.services {
            self.docker_compose_makes(files, &["--no-deps", service.name.as_str()])?;
        }
        Ok(self.account())
    }

    fn docker_compose_makes(&self, files: &[PathBuf], of: &[&str]) -> Result<(), String> {
        let mut command = Command::new("docker-compose");
        command.args(["-p", &self.name]);
        for file in files {
            command.arg("-f").arg(file);
        }
        let output = command
            .args(["up", "--no-start"])
            .args(of)
            .env("IMAGE", &self.image)
            .env("SITE", "fra")
            .env("COMPOSE_PROFILES", "corpus")
            .output()
            .expect("apt install docker-compose");
        if output.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("docker-compose fails: {error}"))
    }

    pub(super) fn by_cleanslate(&self, files: &[PathBuf]) -> Result<Account, String> {
        self.sweep();
        self.share();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let project = self.project(files)?;
        runtime.block_on(self.prepare(project))?;
        Ok(self.account())
    }

    fn project(&self, files: &[PathBuf]) -> Result<Project, String> {
        let plain = |value: &str| Variable {
            value: Secret::from(value),
            is_secret: false,
        };
        let variables = [
            ("IMAGE", plain(&self.image)),
            ("SITE", plain("fra")),
            ("COMPOSE_PROFILES", plain("corpus")),
        ];
        let request = Request {
            files: files.to_vec(),
            name: Some(self.name.parse().unwrap()),
            fallback_name: self.name.parse().unwrap(),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            after: Default::default(),
            keep: Keep::No,
        };
        let (project, diagnostics) = read(&request, &mut Sources::disk());
        project.ok_or_else(|| format!("cleanslate refuses it: {diagnostics:?}"))
    }

    async fn prepare(&self, project: Project) -> Result<(), String> {
        let engine = Engine::new(Arc::new(HostContext {
            fleet: self.name.parse().unwrap(),
            site: "fra".parse().unwrap(),
            host: Host {
                name: "fra1".parse().unwrap(),
                engine: EngineAddress::Unix(SOCKET.into()),
                channel: "master".parse().unwrap(),
                address: None,
                projects: vec![project],
            },
            registries: BTreeMap::new(),
            spec_key: [7; 32],
        }));
        let preparation = Preparation {
            rotation: "nightly-20260101T030000-ABCD".parse().unwrap(),
            epoch: Epoch(1),
            hold: "HOLDABC".parse().unwrap(),
            pins: self.pins.clone(),
            anonymous: Anonymous::Refuse,
            volumes: Volumes::Keep,
            leaving: Default::default(),
        };
        let request = EngineRequest::Prepare(Box::new(preparation));
        let outcome = engine.carry_out(&request, |_| ()).await;
        if let EngineOutcome::Prepared {
            is_proof: false, ..
        } = outcome
        {
            return Ok(());
        }
        Err(format!("cleanslate does not make it: {outcome:?}"))
    }

    /// What the engine says of everything of the project.
    fn account(&self) -> Account {
        let mut account = Account::new();
        for kind in ["container", "network", "volume"] {
            for id in self.labelled(kind) {
                let text = run("docker", &[kind, "inspect", &id]);
                let values: Value = serde_json::from_str(&text).unwrap();
                let mut value = values[0].clone();
                self.neutral(&mut value);
                account.insert(
                    format!("{kind} {}", name_of(kind, &value)),
                    relevant(kind, value),
                );
            }
        }
        account
    }

    /// Without what is new every time: ids, the temporary part of a name.
    fn neutral(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.neutral_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.neutral(item)),
            Value::Object(fields) => {
                let all = std::mem::take(fields);
                for (key, mut value) in all {
                    self.neutral(&mut value);
                    fields.insert(self.neutral_text(&key), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn neutral_text(&self, text: &str) -> String {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() == 12 && is_hex(text) {
            return "SHORT".to_owned();
        }
        let mut rest = text.replace(".new-1", "").replace(&self.name, "PROJECT");
        for line in [CORPUS, self.image.as_str()] {
            rest = rest.replace(line, if line == CORPUS { "CORPUS" } else { "IMAGE" });
        }
        let words = rest.split_inclusive(|c: char| !c.is_ascii_hexdigit());
        let mut neutral = String::new();
        for word in words {
            let hex = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            match hex.len() {
                64 => neutral.push_str(&word.replace(hex, "ID")),
                _ => neutral.push_str(word),
            }
        }
        neutral
    }

    fn labelled(&self, kind: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let all: &[&str] = if kind == "container" { &["-a"] } else { &[] };
        let args = [&[kind, "ls", "-q", "--filter", &filter], all].concat();
        run("docker", &args).lines().map(str::to_owned).collect()
    }

    fn share(&self) {
        try_run("docker", &["network", "create", SHARED]);
        try_run("docker", &["volume", "create", SHARED]);
    }

    fn sweep(&self) {
        for id in self.labelled("container") {
            try_run("docker", &["container", "rm", "-f", "-v", &id]);
        }
        for kind in ["network", "volume"] {
            for id in self.labelled(kind) {
                try_run("docker", &[kind, "rm", &id]);
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.sweep();
        try_run("docker", &["network", "rm", SHARED]);
        try_run("docker", &["volume", "rm", SHARED]);
        try_run("docker", &["image", "rm", "-f", &self.image]);
        self.registry.kill().unwrap();
        self.registry.wait().unwrap();
    }
}

fn name_of(kind: &str, value: &Value) -> String {
    let label = |key: &str| {
        let label = &value["Config"]["Labels"][format!("com.docker.compose.{key}")];
        label.as_str().unwrap_or_default().to_owned()
    };
    match kind {
        "container" => format!("{} {}", label("service"), label("container-number")),
        _ => value["Name"].as_str().unwrap_or_default().to_owned(),
    }
}

/// What a file can say anything about.
fn relevant(kind: &str, mut value: Value) -> Value {
    let wanted: &[&str] = match kind {
        "container" => &["Name", "Config", "HostConfig", "Mounts", "Networks"],
        "network" => &[
            "Name",
            "Driver",
            "EnableIPv6",
            "IPAM",
            "Internal",
            "Attachable",
            "Options",
            "Labels",
        ],
        _ => &["Name", "Driver", "Options", "Labels"],
    };
    let networks = value.pointer("/NetworkSettings/Networks").cloned();
    if let (Some(fields), Some(networks)) = (value.as_object_mut(), networks) {
        fields.insert("Networks".to_owned(), networks);
    }
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|key, _| wanted.contains(&key.as_str()));
    }
    value
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run {program}: {error}; apt install docker.io docker-compose")
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Of a program that may fail, as cleaning up may.
fn try_run(program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    drop(output);
}

fn import(name: &str) {
    let mut import = Command::new("docker")
        .args([
            "import",
            "-c",
            "CMD [\"sleep\",\"1000\"]",
            "-c",
            "ENV FROM=image",
            "-",
            name,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("apt install docker.io");
    let mut pipe = import.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, &tree()).unwrap();
    drop(pipe);
    assert!(import.wait().unwrap().success());
}

/// busybox, and what the corpus asks of a root file system.
fn tree() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("apt install busybox-static");
    let mut tree = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        tree.append_data(&mut header, path, content).unwrap();
    };
    for folder in ["bin/", "etc/", "tmp/"] {
        add(folder, tar::EntryType::Directory, b"");
    }
    add("bin/busybox", tar::EntryType::Regular, &busybox);
    add(
        "etc/group",
        tar::EntryType::Regular,
        b"root:x:0:\nmail:x:8:\n",
    );
    add(
        "etc/passwd",
        tar::EntryType::Regular,
        b"root:x:0:0::/:/bin/sh\n",
    );
    for applet in ["sh", "sleep", "echo", "cat", "test", "touch"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tree.append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    tree.into_inner().unwrap()
}

fn serve_registry(folder: &Path, port: u16) -> Child {
    let config = folder.join("registry.yaml");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
         http: {{ addr: '127.0.0.1:{port}' }}\n",
        folder.join("registry").display()
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("apt install docker-registry");
    wait_until("docker-registry answers", Duration::from_secs(20), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .unwrap();
    child
}
