//! The commands of the `lab` executable.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use hickory_proto::rr::Name;

use crate::lab::eyes::ask::Asker;
use crate::lab::eyes::{load, watch};
use crate::lab::fleet::demo;
use crate::lab::flood;
use crate::lab::ground::owner::is_held;
use crate::lab::ground::teardown;
use crate::lab::images::{Push, push};
use crate::lab::inspect::block_on;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Users};

/// A whole fleet on this machine: BIND, engines, a registry, users.
#[derive(Parser)]
#[command(name = "lab")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lay a lab with a fleet in service, and keep it until Ctrl-C
    Up(Up),
    /// Tear labs down
    Down {
        id: Option<String>,
        /// Every lab of this machine that no living process holds
        #[arg(long)]
        all: bool,
        /// With --all: those in use as well, whoever uses them
        #[arg(long, requires = "all")]
        in_use: bool,
    },
    /// Let users loose on a lab until Ctrl-C, then say what they lost
    Load {
        id: String,
        /// Requests a second, of all users together
        #[arg(long, default_value_t = 50)]
        rate: u32,
        #[arg(long, default_value_t = 20)]
        users: usize,
    },
    /// Run a command with the network that the users of a lab have
    Exec {
        id: String,
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
    /// Rotate a fleet before your eyes, under load, and count what its users lost
    Demo(demo::Demo),
    #[command(hide = true)]
    Reap { id: String },
    #[command(hide = true)]
    Push { images: Vec<Push> },
    #[command(hide = true)]
    Retag {
        repository: String,
        from: String,
        to: String,
    },
    #[command(hide = true)]
    Digest { repository: String, tag: String },
    #[command(hide = true)]
    Query { server: IpAddr, record: String },
    #[command(hide = true)]
    Get { url: String },
    /// Flood an API with connections and junk until Ctrl-C
    #[command(hide = true)]
    Flood(flood::Args),
    #[command(hide = true)]
    Users(load::Args),
    #[command(hide = true)]
    Watch(watch::Args),
}

#[derive(Args)]
struct Up {
    /// Sites, by name
    #[arg(long, value_delimiter = ',', default_value = "fra,nyc,sin")]
    sites: Vec<String>,
    /// Hosts of each site
    #[arg(long, default_value_t = 1)]
    hosts: usize,
    /// IPv6 as well
    #[arg(long)]
    dual_stack: bool,
    /// TTL of the records, in seconds
    #[arg(long, default_value_t = 2)]
    ttl: u32,
    /// Where the fleet's files go; default: a folder of the lab
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
    /// Leave the lab standing and come back at once
    #[arg(long)]
    detach: bool,
}

pub(crate) fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(up) => run_up(&up),
        Command::Down { id, all, in_use } => down(id, all, in_use),
        Command::Load { id, rate, users } => run_load(&id, rate, users),
        Command::Exec { id, argv } => exec(&id, &argv),
        Command::Demo(demo) => demo.run(),
        Command::Reap { id } => reap(&id),
        Command::Push { images } => {
            for image in &images {
                println!("{}", block_on(push::push(image))?);
            }
            Ok(())
        }
        Command::Retag {
            repository,
            from,
            to,
        } => {
            println!("{}", block_on(push::retag(&repository, &from, &to))?);
            Ok(())
        }
        Command::Digest { repository, tag } => {
            println!("{}", block_on(push::digest_of(&repository, &tag))?);
            Ok(())
        }
        Command::Query { server, record } => {
            let answer =
                Asker::new(server, Duration::from_secs(2))?.look(&Name::from_str(&record)?)?;
            println!("{}", serde_json::to_string(&answer)?);
            Ok(())
        }
        Command::Get { url } => get(&url),
        Command::Flood(args) => flood::run(&args),
        Command::Users(args) => load::run(&args),
        Command::Watch(args) => watch::run(&args),
    }
}

fn run_up(up: &Up) -> Result<()> {
    let names: Vec<_> = up.sites.iter().map(String::as_str).collect();
    let mut spec = LabSpec::sites(&names).hosts_each(up.hosts).ttl(up.ttl);
    if up.dual_stack {
        spec = spec.dual_stack();
    }
    let lab = Lab::up(spec)?;
    lab.push_all(&[
        Push::new(ImageKind::Worker, "worker", "master").version("v1"),
        Push::new(ImageKind::Web, "web", "v2"),
    ])?;
    let options = FleetOptions::six_containers();
    let dir = up.dir.clone().unwrap_or_else(|| lab.fleet_dir());
    lab.write_fleet(&dir, &options)?;
    lab.start_services(&options)?;
    lab.wait_serving()?;
    print_usage(&lab, &dir);
    if up.detach {
        return lab.detach();
    }
    block_on(async { tokio::signal::ctrl_c().await }).context("failed to wait for Ctrl-C")
}

fn print_usage(lab: &Lab, dir: &std::path::Path) {
    let id = &lab.id;
    println!("lab {id} is up; the fleet's files: {}", dir.display());
    for engine in lab.engines() {
        let socket = engine.socket();
        println!(
            "  {:8} {:12} docker -H unix://{} ps",
            engine.host.name,
            engine.host.v4,
            socket.display()
        );
    }
    println!("  lab exec {id} -- dig +short www.example.com @10.53.0.53");
    println!("  lab exec {id} -- curl http://10.53.1.1/");
    println!(
        "  lab exec {id} -- cleanslate --config {}/site.toml plan",
        dir.display()
    );
    println!("  lab load {id} --rate 100");
    println!("  lab down {id}");
}

fn run_load(id: &str, rate: u32, users: usize) -> Result<()> {
    let users = Users::start(&Lab::attach(id)?, rate, users)?;
    block_on(async {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                result = tokio::signal::ctrl_c() => return result,
                _ = second.tick() => {
                    let live = users.live();
                    print!("\r{} sent, {} answered, {} lost ", live.sent, live.ok, live.lost);
                    std::io::stdout().flush()?;
                }
            }
        }
    })
    .context("failed to wait for Ctrl-C")?;
    print!("\n{}", users.stop()?);
    Ok(())
}

fn down(id: Option<String>, all: bool, in_use: bool) -> Result<()> {
    ensure!(all || id.is_some(), "say which lab, or --all");
    let ids = match id {
        Some(id) => vec![id],
        None => teardown::all_ids()
            .into_iter()
            .filter(|id| in_use || !is_held(id))
            .collect(),
    };
    for id in ids {
        teardown::tear_down(&id)?;
        println!("lab {id} is gone");
    }
    Ok(())
}

fn exec(id: &str, argv: &[String]) -> Result<()> {
    let lab = Lab::attach(id)?;
    let mut command = lab.in_core(&argv.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdin(std::process::Stdio::inherit());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Err(command.exec()).context("failed to run nsenter")
}

/// Waits for the owner's end, then tears down whatever there still is.
fn reap(id: &str) -> Result<()> {
    let waited = std::io::stdin().read_to_end(&mut Vec::new());
    teardown::tear_down(id).and(waited.map(drop).context("failed to wait for the owner"))
}

fn get(url: &str) -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (status, body) = block_on(async {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()?;
        let answer = client.get(url).send().await?;
        let status = answer.status().as_u16();
        anyhow::Ok((status, answer.text().await?))
    })
    .with_context(|| format!("failed to get {url}"))?;
    println!("{status}\n{body}");
    Ok(())
}
