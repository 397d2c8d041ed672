//! Laying a lab, and the handle to it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::ground::bind::Bind;
use super::ground::children::Children;
use super::ground::engine::Engine;
use super::ground::machine::Machine;
use super::ground::net::Net;
use super::ground::owner::{
    Owner, Record, read_record, start_reaper, tear_down_stale, write_record,
};
use super::ground::primary::Primary;
use super::ground::program::{check_installed, finish, wait_until};
use super::ground::registry::Registry;
use super::ground::{processes, teardown};
use super::images::{Push, kind::ImageKind};
use super::spec::{LabSpec, PRIMARY, REGISTRY, SECONDARY};

/// A laid lab. Dropping it tears everything down; so does the death of the process that laid it.
pub struct Lab {
    pub id: String,
    /// Everything of the lab that is a file.
    pub dir: PathBuf,
    pub spec: LabSpec,
    pub net: Net,
    pub primary: Primary,
    pub secondary: Bind,
    pub registry: Registry,
    engines: Vec<Engine>,
    children: Children,
    end: End,
}

/// Who tears the lab down.
enum End {
    /// This process, and the reaper should it die first.
    Ours { reaper: Child },
    /// Somebody else: `lab down`.
    Detached,
}

impl Lab {
    /// Lays a lab: namespaces, BIND, registry with `web:v1` tagged `master` too, engines; waits
    /// until all of it answers. No container runs yet.
    pub fn up(spec: LabSpec) -> Result<Self> {
        check_installed()?;
        tear_down_stale();
        let lab = Self::claim(spec)?;
        lab.lay()
            .with_context(|| format!("failed to lay lab {}", lab.id))?;
        Ok(lab)
    }

    /// A lab that was laid by another process and detached.
    pub fn attach(id: &str) -> Result<Self> {
        let dir = teardown::dir_of(id);
        let record = read_record(&dir).with_context(|| format!("there is no lab {id}"))?;
        Ok(Self::plan(id, dir, record.spec, End::Detached))
    }

    /// Leaves the lab standing for `lab down`, whatever becomes of this process.
    pub fn detach(mut self) -> Result<()> {
        write_record(
            &self.dir,
            &Record {
                spec: self.spec.clone(),
                owner: None,
            },
        )?;
        match std::mem::replace(&mut self.end, End::Detached) {
            End::Ours { mut reaper } => {
                reaper.kill().context("failed to dismiss the reaper")?;
                reaper
                    .wait()
                    .context("failed to wait for the reaper")
                    .map(drop)
            }
            End::Detached => Ok(()),
        }
    }

    /// The engine of a host.
    #[expect(
        clippy::panic,
        reason = "a test that names a host it did not lay is wrong"
    )]
    pub fn engine(&self, host: &str) -> &Engine {
        let engine = self.engines.iter().find(|engine| engine.host.name == host);
        engine.unwrap_or_else(|| panic!("the lab has no host {host}; its spec says which"))
    }

    /// All engines, in the order of the spec.
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// The engines of one site.
    pub fn engines_of(&self, site: &str) -> Vec<&Engine> {
        self.engines
            .iter()
            .filter(|engine| engine.host.site == site)
            .collect()
    }

    /// The processes that this one started for the lab.
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// A command that runs with the network of the users and of `cleanslate`. The process that
    /// it starts *is* the program, so that killing it kills the program.
    pub fn in_core(&self, argv: &[&str]) -> Command {
        self.on("core", argv)
    }

    /// The same with the network of another machine: a desk (`ops1`), a host, a name server.
    pub fn on(&self, machine: &str, argv: &[&str]) -> Command {
        let argv = self.net.enter(machine, argv);
        super::ground::program::command(&argv.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a subcommand of the lab executable with that network and returns what it printed.
    pub fn lab_in_core(&self, args: &[&str]) -> Result<String> {
        let exe = super::fleet::runner::lab_exe()?.display().to_string();
        let mut argv = vec![exe.as_str()];
        argv.extend(args);
        finish(&mut self.in_core(&argv)).with_context(|| format!("lab {}", args.join(" ")))
    }

    /// Takes a free id and its folder, and starts the reaper before there is anything to reap.
    fn claim(spec: LabSpec) -> Result<Self> {
        let base = teardown::base();
        std::fs::create_dir_all(&base)
            .with_context(|| format!("failed to make {}", base.display()))?;
        for _ in 0..100 {
            let mut bytes = [0u8; 2];
            getrandom::fill(&mut bytes).context("failed to get random bytes")?;
            let id = format!("{:02x}{:02x}", bytes[0], bytes[1]);
            let dir = teardown::dir_of(&id);
            if std::fs::create_dir(&dir).is_ok() {
                let owner = Some(Owner::us()?);
                write_record(
                    &dir,
                    &Record {
                        spec: spec.clone(),
                        owner,
                    },
                )?;
                let reaper = start_reaper(&id, &dir)?;
                return Ok(Self::plan(&id, dir, spec, End::Ours { reaper }));
            }
        }
        bail!(
            "found no free id below {}: run `lab down --all`",
            base.display()
        )
    }

    fn plan(id: &str, dir: PathBuf, spec: LabSpec, end: End) -> Self {
        let net = Net::new(id);
        let cgroup = format!("/cs{id}");
        let engine = |host: super::spec::HostPlan| {
            let machine = Machine::new(&net, &dir, &host.name);
            Engine::new(host, machine, &cgroup)
        };
        Self {
            id: id.to_owned(),
            primary: Primary::new(&net, &dir, spec.primary),
            secondary: Bind::secondary(&net, &dir),
            registry: Registry::new(&net, &dir),
            engines: spec.hosts().into_iter().map(engine).collect(),
            children: Children::default(),
            dir,
            spec,
            net,
            end,
        }
    }

    /// Engines take longest to start, so everything else is done beside them.
    fn lay(&self) -> Result<()> {
        let registry: IpAddr = REGISTRY.parse::<std::net::SocketAddr>()?.ip();
        self.net.lay_core(&[registry])?;
        std::thread::scope(|scope| {
            let servers = scope.spawn(|| self.lay_servers());
            let engines: Vec<_> = self
                .engines
                .iter()
                .map(|engine| scope.spawn(|| self.lay_engine(engine)))
                .collect();
            for thread in engines.into_iter().chain([servers]) {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a thread that lays the lab panicked"))??;
            }
            Ok(())
        })
    }

    fn lay_engine(&self, engine: &Engine) -> Result<()> {
        let addresses = [
            Some(IpAddr::V4(engine.host.v4)),
            engine.host.v6.map(IpAddr::V6),
        ];
        let addresses: Vec<_> = addresses.into_iter().flatten().collect();
        self.net.lay_machine(&engine.host.name, &addresses)?;
        // Mounts made later, out here, are not seen in there.
        engine.lay_disk()?;
        engine.machine.switch_on(&self.children)?;
        engine.start(&self.children)?;
        engine.wait_ready()
    }

    fn lay_servers(&self) -> Result<()> {
        for desk in 1..=self.spec.desks {
            let address = IpAddr::from([10, 53, 0, 10 + desk]);
            self.net.lay_machine(&format!("ops{desk}"), &[address])?;
        }
        self.registry.start(&self.children)?;
        self.push_all(&[
            Push::new(ImageKind::Web, "web", "v1"),
            Push::new(ImageKind::Web, "web", "master").version("v1"),
        ])?;
        self.net
            .lay_machine(Primary::NAME, &[IpAddr::V4(PRIMARY)])?;
        self.net
            .lay_machine(self.secondary.name, &[IpAddr::V4(SECONDARY)])?;
        self.primary.write_files(&self.spec)?;
        self.secondary.write_files(&self.spec, &self.dir)?;
        self.primary.start(&self.children)?;
        self.secondary.start(&self.children)?;
        self.secondary.wait_transferred()
    }
}

impl Drop for Lab {
    /// The reaper does it, so that what happens after a `kill -9` happens every day.
    fn drop(&mut self) {
        let End::Ours { reaper } = &mut self.end else {
            return;
        };
        drop(reaper.stdin.take());
        let reaped = reaper.wait().context("failed to wait for the reaper");
        self.children.reap_all();
        let done = reaped.and_then(|status| {
            ensure!(status.success(), "the reaper failed: {status}");
            Ok(())
        });
        if let Err(error) = done.or_else(|_| teardown::tear_down(&self.id)) {
            eprintln!("lab {}: {error:#}; run `lab down --all`", self.id);
        }
    }
}
