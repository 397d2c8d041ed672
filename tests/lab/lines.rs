//! Lines between two machines: cut in one direction or both, lossy, slow.
//!
//! Machines are named as in the spec: `fra1`, `ns1`, `ops1`. A packet is dropped where it arrives,
//! so that whoever sent it learns nothing.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};

use super::Lab;
use super::ground::net::Net;
use super::spec::{PRIMARY, SECONDARY};

/// Something wrong with the lines of a lab, until it is mended.
#[derive(Debug)]
#[must_use = "a line is broken until it is mended"]
pub struct Broken {
    net: Net,
    rules: Vec<(String, Vec<String>)>,
}

impl Lab {
    /// Drops all that `from` sends to `to`; the other direction stays open.
    pub fn cut(&self, from: &str, to: &str) -> Result<Broken> {
        self.drop_packets(&[(from, to)], &[])
    }

    /// The same of what `iptables` finds with these words, `-p udp --dport 53`.
    pub fn cut_of(&self, from: &str, to: &str, which: &str) -> Result<Broken> {
        self.drop_packets(&[(from, to)], &which.split(' ').collect::<Vec<_>>())
    }

    /// Drops all that passes between two machines.
    pub fn part(&self, one: &str, other: &str) -> Result<Broken> {
        self.drop_packets(&[(one, other), (other, one)], &[])
    }

    /// Drops so many of a hundred packets that pass between a machine and each of the others.
    pub fn lose_packets(&self, machine: &str, others: &[&str], percent: u8) -> Result<Broken> {
        let pairs: Vec<_> = others
            .iter()
            .flat_map(|other| [(machine, *other), (*other, machine)])
            .collect();
        let share = format!("{:.2}", f32::from(percent) / 100.0);
        let random = ["-m", "statistic", "--mode", "random", "--probability"];
        self.drop_packets(&pairs, &[&random[..], &[&share]].concat())
    }

    /// Sends a host's published port elsewhere, to where nothing listens, before its engine sees
    /// the packet.
    pub fn divert_port(&self, host: &str, port: u16) -> Result<Broken> {
        let nowhere = format!("{}:9", self.address_of(host)?);
        let port = port.to_string();
        let rule = ["-t", "nat", "PREROUTING", "-i", "eth0", "-p", "tcp"];
        let to = ["--dport", &port, "-j", "DNAT", "--to-destination", &nowhere];
        self.add_rules(vec![(host, [&rule[..], &to[..]].concat())])
    }

    /// Lets a machine send no more than so much, `64kbit`; what waits longer than half a second
    /// is dropped. For as long as the lab stands, or until it is called again.
    pub fn slow_down(&self, machine: &str, rate: &str) -> Result<()> {
        let rate = ["rate", rate, "burst", "4kb", "latency", "500ms"];
        let tbf = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf"];
        self.net.run_in(machine, &[&tbf[..], &rate[..]].concat())?;
        Ok(())
    }

    /// Ends [`Lab::slow_down`].
    pub fn speed_up(&self, machine: &str) -> Result<()> {
        let argv = ["tc", "qdisc", "del", "dev", "eth0", "root"];
        self.net.run_in(machine, &argv).map(drop)
    }

    fn drop_packets(&self, pairs: &[(&str, &str)], which: &[&str]) -> Result<Broken> {
        let mut rules = Vec::new();
        let sources: Vec<_> = pairs
            .iter()
            .map(|(from, _)| Ok(self.address_of(from)?.to_string()))
            .collect::<Result<_>>()?;
        for ((_, to), source) in pairs.iter().zip(&sources) {
            let here = ["-t", "raw", "PREROUTING", "-i", "eth0", "-s", source];
            rules.push((*to, [&here[..], which, &["-j", "DROP"]].concat()));
        }
        self.add_rules(rules)
    }

    /// Each rule with its table first and its chain next, at the head of that chain.
    fn add_rules(&self, rules: Vec<(&str, Vec<&str>)>) -> Result<Broken> {
        let mut broken = Broken {
            net: self.net.clone(),
            rules: Vec::new(),
        };
        for (machine, rule) in rules {
            let rule: Vec<_> = rule.into_iter().map(str::to_owned).collect();
            change(&self.net, machine, "-I", &rule)?;
            broken.rules.push((machine.to_owned(), rule));
        }
        Ok(broken)
    }

    fn address_of(&self, machine: &str) -> Result<IpAddr> {
        let address = match machine {
            "ns1" => PRIMARY,
            "ns2" => SECONDARY,
            desk if desk.starts_with("ops") => {
                let number: u8 = desk[3..].parse().context("a desk has a number")?;
                Ipv4Addr::new(10, 53, 0, 10 + number)
            }
            host => self.engine(host).host.v4,
        };
        Ok(address.into())
    }
}

impl Broken {
    /// Takes back exactly what was broken.
    pub fn mend(self) -> Result<()> {
        self.rules
            .iter()
            .try_for_each(|(machine, rule)| change(&self.net, machine, "-D", rule))
    }
}

/// Adds or deletes a rule: `-t TABLE`, then what to do, then the chain and the rest.
fn change(net: &Net, machine: &str, action: &str, rule: &[String]) -> Result<()> {
    let mut argv = vec!["iptables", "--wait"];
    argv.extend(rule[..2].iter().map(String::as_str));
    argv.push(action);
    argv.extend(rule[2..].iter().map(String::as_str));
    net.run_in(machine, &argv).map(drop)
}
