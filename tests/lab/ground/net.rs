//! The network of a lab: one bridge in the core namespace, a cable to each machine.

use std::net::IpAddr;

use anyhow::{Context, Result};

use super::program::run;
use crate::lab::spec::CORE;

/// Names and cables of one lab's network.
#[derive(Clone, Debug)]
pub struct Net {
    id: String,
}

impl Net {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// The name of a machine's network namespace.
    pub fn namespace(&self, machine: &str) -> String {
        format!("cs{}-{machine}", self.id)
    }

    /// The path that `nsenter --net=` takes.
    pub fn path(&self, machine: &str) -> String {
        format!("/run/netns/{}", self.namespace(machine))
    }

    /// The command that runs something with this machine's network. Not `ip netns exec`: that
    /// mounts another `/sys` and hides the cgroups, without which no engine starts.
    pub fn enter(&self, machine: &str, argv: &[&str]) -> Vec<String> {
        let mut whole = vec![
            "nsenter".to_owned(),
            format!("--net={}", self.path(machine)),
        ];
        whole.push("--".to_owned());
        whole.extend(argv.iter().map(ToString::to_string));
        whole
    }

    /// Runs a command to its end with this machine's network.
    pub fn run_in(&self, machine: &str, argv: &[&str]) -> Result<String> {
        let argv = self.enter(machine, argv);
        run(&argv.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The core namespace: the bridge, with the addresses of users and of the registry on it.
    pub fn lay_core(&self, addresses: &[IpAddr]) -> Result<()> {
        self.add_namespace("core")?;
        self.ip("core", "link add br0 type bridge forward_delay 0")?;
        self.ip("core", "link set br0 up")?;
        self.ip("core", &format!("addr add {CORE}/16 dev br0"))?;
        self.ip("core", "addr add fd53::1/64 dev br0 nodad")?;
        for address in addresses {
            self.ip("core", &format!("addr add {address}/16 dev br0"))?;
        }
        Ok(())
    }

    /// A machine's namespace with one cable to the bridge and these addresses.
    pub fn lay_machine(&self, machine: &str, addresses: &[IpAddr]) -> Result<()> {
        self.add_namespace(machine)?;
        let core = self.namespace("core");
        let port = port(machine);
        self.ip(
            machine,
            &format!("link add eth0 type veth peer name {port} netns {core}"),
        )?;
        self.ip("core", &format!("link set {port} master br0 up"))?;
        self.ip(machine, "link set eth0 up")?;
        for address in addresses {
            let length = if address.is_ipv4() {
                "/16"
            } else {
                "/64 nodad"
            };
            let (length, flags) = length.split_once(' ').unwrap_or((length, ""));
            self.ip(
                machine,
                &format!("addr add {address}{length} dev eth0 {flags}"),
            )?;
        }
        Ok(())
    }

    /// Pulls the machine's cable out of the bridge, or puts it back in.
    pub fn plug(&self, machine: &str, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        self.ip("core", &format!("link set {} {state}", port(machine)))
    }

    fn add_namespace(&self, machine: &str) -> Result<()> {
        run(&["ip", "netns", "add", &self.namespace(machine)])
            .context("namespaces need root and the right to make them (CAP_SYS_ADMIN)")?;
        self.ip(machine, "link set lo up")
    }

    fn ip(&self, machine: &str, words: &str) -> Result<()> {
        let namespace = self.namespace(machine);
        let mut argv = vec!["ip", "-n", &namespace];
        argv.extend(words.split_whitespace());
        run(&argv).map(drop)
    }
}

/// The bridge's end of a machine's cable.
fn port(machine: &str) -> String {
    format!("to-{machine}")
}
