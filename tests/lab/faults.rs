//! Everything that can be broken, and mended again.
//!
//! Machines are named as in the spec (`fra1`), the name servers `ns1` and `ns2`. All methods
//! take `&self`, so a test may break things from a second thread.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::Lab;
use super::fleet::first::pull;
use super::ground::primary::Primary;
use super::ground::processes;
use super::ground::program::{run, wait_until};
use super::inspect::{block_on, docker};
use super::spec::PRIMARY;

/// A server of the lab that is no engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// What takes the UPDATEs: machine `ns1`.
    Primary,
    /// BIND that follows: machine `ns2`.
    Secondary,
    Registry,
}

/// Servers: killed, started, frozen.
impl Lab {
    /// Kills a server with SIGKILL; what it had on disk stays.
    pub fn kill_server(&self, server: Server) -> Result<()> {
        self.signal_server(server, "KILL")?;
        let (machine, _) = self.place(server);
        let gone = || self.server_process(server).is_none();
        wait_until(
            &format!("{server:?} on {machine} is dead"),
            Duration::from_secs(5),
            gone,
        )
    }

    /// Starts a server that was killed, and waits until it is ready.
    pub fn start_server(&self, server: Server) -> Result<()> {
        match server {
            Server::Primary => self.primary.start(self.children()),
            Server::Secondary => self.secondary.start(self.children()),
            Server::Registry => self.registry.start(self.children()),
        }
    }

    /// Stops a server where it stands: it takes connections and never answers.
    pub fn freeze_server(&self, server: Server) -> Result<()> {
        self.signal_server(server, "STOP")
    }

    /// Lets a frozen server go on: with all that was sent to it meanwhile.
    pub fn thaw_server(&self, server: Server) -> Result<()> {
        self.signal_server(server, "CONT")
    }

    /// Lets the registry tell of every push, there, with a token.
    pub fn tell_pushes(&self, url: &str, token: &str) -> Result<()> {
        self.registry.stop()?;
        let more = format!(
            "notifications:\n  endpoints:\n    - name: cleanslate\n      url: {url}\n      \
             headers: {{ Authorization: [Bearer {token}] }}\n      timeout: 5s\n      \
             threshold: 3\n      backoff: 1s\n"
        );
        self.registry.start_with(self.children(), &more)
    }

    fn signal_server(&self, server: Server, signal: &str) -> Result<()> {
        let process = self.server_process(server);
        let process = process.with_context(|| format!("{server:?} does not run"))?;
        processes::signal(signal, &[process])
    }

    fn place(&self, server: Server) -> (&'static str, &'static str) {
        match server {
            Server::Primary => (Primary::NAME, self.primary.program()),
            Server::Secondary => ("ns2", "named"),
            Server::Registry => ("core", "docker-registry"),
        }
    }

    fn server_process(&self, server: Server) -> Option<processes::Process> {
        let (machine, program) = self.place(server);
        processes::named(processes::network(&self.net.namespace(machine))?, program)
    }
}

/// Engines and whole hosts.
impl Lab {
    /// Kills a host's engine and all its containers; the machine stays on.
    pub fn kill_engine(&self, host: &str) -> Result<()> {
        self.engine(host).kill()
    }

    /// Kills dockerd alone: its containers go on serving.
    pub fn kill_dockerd(&self, host: &str) -> Result<()> {
        self.engine(host).kill_dockerd()
    }

    /// Starts a killed engine and waits until it answers. A dockerd that finds containers alive
    /// stops them: these engines have no `live-restore`, as by default.
    pub fn start_engine(&self, host: &str) -> Result<()> {
        let engine = self.engine(host);
        // Left by a dockerd that was killed, it would name a pid that is another's by now.
        let stale = "rm -f /run/docker.pid /run/docker/containerd/containerd.pid";
        if engine.machine.process("containerd").is_none() {
            engine.machine.run(&["sh", "-c", stale])?;
        } else {
            engine.machine.run(&["rm", "-f", "/run/docker.pid"])?;
        }
        engine.start(self.children())?;
        engine.wait_ready()
    }

    /// Stops dockerd where it stands: its containers go on, its API takes requests and is mute.
    pub fn freeze_engine(&self, host: &str) -> Result<()> {
        self.signal_engine(host, "STOP")
    }

    /// Lets a frozen engine go on: with the requests that were sent to it meanwhile.
    pub fn thaw_engine(&self, host: &str) -> Result<()> {
        self.signal_engine(host, "CONT")
    }

    fn signal_engine(&self, host: &str, signal: &str) -> Result<()> {
        let dockerd = self.engine(host).machine.process("dockerd");
        let dockerd = dockerd.with_context(|| format!("{host} runs no engine"))?;
        processes::signal(signal, &[dockerd])
    }

    /// Freezes a whole host, containers and engine: connections to it hang.
    pub fn freeze_host(&self, host: &str) -> Result<()> {
        self.engine(host).freeze_all(true)
    }

    /// Lets a frozen host go on.
    pub fn thaw_host(&self, host: &str) -> Result<()> {
        self.engine(host).freeze_all(false)
    }

    /// Cuts the power: everything on the host dies at once, and its cable is dead.
    pub fn power_off(&self, host: &str) -> Result<()> {
        self.net.plug(host, false)?;
        self.engine(host).machine.switch_off()
    }

    /// Boots a host that was cut off power; its engine answers when this returns. What lay on its
    /// disk is there, and containers with a restart policy start again.
    pub fn power_on(&self, host: &str) -> Result<()> {
        let engine = self.engine(host);
        engine.machine.switch_on(self.children())?;
        self.net.plug(host, true)?;
        engine.start(self.children())?;
        engine.wait_ready()
    }

    /// Fills the disk of a host whose spec gave it one, but for so many bytes.
    pub fn fill_disk(&self, host: &str, leave: u64) -> Result<()> {
        fill(&self.engine(host).data_root(), leave)
    }

    /// Takes back what [`Lab::fill_disk`] took.
    pub fn free_disk(&self, host: &str) -> Result<()> {
        free(&self.engine(host).data_root())
    }

    /// Fills the primary's disk, where the spec gave it one.
    pub fn fill_primary_disk(&self) -> Result<()> {
        fill(&self.primary.dir(), 0)
    }

    /// Takes back what [`Lab::fill_primary_disk`] took.
    pub fn free_primary_disk(&self) -> Result<()> {
        free(&self.primary.dir())
    }

    /// Runs a container that is not the fleet's: the `web` image, published on `port` if given.
    /// Returns its id.
    pub fn run_foreign(&self, host: &str, name: &str, port: Option<u16>) -> Result<String> {
        let image = self.image("web", "v1");
        let published = port.map(|port| {
            let binding = PortBinding {
                host_ip: None,
                host_port: Some(port.to_string()),
            };
            [("80/tcp".to_owned(), Some(vec![binding]))].into()
        });
        let body = ContainerCreateBody {
            image: Some(image.clone()),
            host_config: Some(HostConfig {
                port_bindings: published,
                ..Default::default()
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let engine = self.engine(host);
        block_on(async {
            pull(engine, &image).await?;
            let client = docker(engine)?;
            let id = client.create_container(Some(options), body).await?.id;
            client.start_container(&id, None).await?;
            Ok(id)
        })
    }
}

/// The network.
impl Lab {
    /// Pulls a machine's cable. Others learn of it slowly: their packets find nobody.
    pub fn unplug(&self, machine: &str) -> Result<()> {
        self.net.plug(machine, false)
    }

    /// Puts a pulled cable back.
    pub fn plug(&self, machine: &str) -> Result<()> {
        self.net.plug(machine, true)
    }

    /// Drops every packet that a machine gets from this address, without a word; the other
    /// direction stays open.
    pub fn block(&self, machine: &str, from: IpAddr) -> Result<()> {
        let from = from.to_string();
        self.filter(
            machine,
            &["-I", "PREROUTING", "-i", "eth0", "-s", &from, "-j", "DROP"],
        )
    }

    /// A primary whose answers over TCP are lost: connections open, UPDATEs arrive and are
    /// carried out, and nobody hears of it.
    pub fn lose_answers(&self, machine: &str) -> Result<()> {
        let tcp = ["-I", "OUTPUT", "-o", "eth0", "-p", "tcp", "--sport", "53"];
        // A packet with nothing in it has at most 60 bytes; no answer of a server is as short.
        let answers = ["-m", "length", "--length", "61:65535", "-j", "DROP"];
        self.filter(machine, &[&tcp[..], &answers[..]].concat())
    }

    /// A primary whose answers to UPDATEs alone are lost: questions are answered as ever.
    pub fn lose_update_answers(&self, machine: &str) -> Result<()> {
        let tcp = ["-I", "OUTPUT", "-o", "eth0", "-p", "tcp", "--sport", "53"];
        // Behind the IP and the TCP header: two bytes of length, two of id, and then QR and opcode
        // (RFC 1035 section 4.1.1), which are 1 and 5 in the answer to an UPDATE.
        let updates = "0>>22&0x3C@12>>26&0x3C@4>>24&0xF8=0xA8";
        let answers = ["-m", "u32", "--u32", updates, "-j", "DROP"];
        self.filter(machine, &[&tcp[..], &answers[..]].concat())
    }

    /// A secondary that hears no NOTIFY and gets no transfer: it answers, with what it has.
    pub fn deafen_secondary(&self) -> Result<()> {
        self.block("ns2", PRIMARY.into())
    }

    /// Ends [`Lab::block`], [`Lab::lose_answers`], [`Lab::lose_update_answers`] and
    /// [`Lab::deafen_secondary`] on a machine. A secondary follows at the next NOTIFY, or after the
    /// spec's `soa_refresh`.
    pub fn unblock(&self, machine: &str) -> Result<()> {
        self.filter(machine, &["-F"])?;
        self.net
            .run_in(machine, &["ip6tables", "-t", "raw", "-F"])
            .map(drop)
    }

    fn filter(&self, machine: &str, rule: &[&str]) -> Result<()> {
        let v6 = rule.iter().any(|word| word.contains("::"));
        let mut argv = vec![if v6 { "ip6tables" } else { "iptables" }, "-t", "raw"];
        argv.extend(rule);
        self.net.run_in(machine, &argv).map(drop)
    }
}

/// Leaves so many bytes of the disk that a folder lies on.
fn fill(folder: &Path, leave: u64) -> Result<()> {
    let device = |path: &Path| std::fs::metadata(path).map(|it| it.dev());
    let around = folder.parent().context("a folder of the lab")?;
    // Without a disk of its own, that of the whole machine would be filled.
    ensure!(
        device(folder)? != device(around)?,
        "the spec gives {} no disk of its own",
        folder.display()
    );
    let disk = folder.display().to_string();
    let free = run(&["df", "--output=avail", "-B1", &disk])?;
    let free: u64 = free
        .lines()
        .last()
        .context("df printed nothing")?
        .trim()
        .parse()?;
    let size = free.saturating_sub(leave).to_string();
    run(&["fallocate", "-l", &size, &format!("{disk}/filled")]).map(drop)
}

fn free(folder: &Path) -> Result<()> {
    let filled = folder.join("filled");
    std::fs::remove_file(&filled).context("the disk was not filled by the lab")
}
