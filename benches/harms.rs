//! What goes wrong in a night, and what is left behind by who met it.

use std::collections::BTreeSet;
use std::fmt;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::contender::Contender;
use crate::lab::ground::program::{run, wait_until};
use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{ImageKind, Lab, LabSpec, Server, Users};
use crate::round::{Grounds, LOAD, SOAK, USERS};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// SIGKILL while the second site is out and its containers are being exchanged; then it is
    /// run again, as a schedule would.
    Killed,
    /// A second one is started when the first has taken its first site out.
    Twice,
    /// The new version serves for twenty seconds, then dies. The soak is thirty.
    Dies,
    /// The registry dies when the first site is out.
    NoRegistry,
}

/// So long everything may take.
const WITHIN: Duration = Duration::from_secs(900);
/// Users go on so long after the end: what is left behind is what they meet.
const AFTERWARDS: Duration = Duration::from_secs(10);
const LONG_SOAK: Duration = Duration::from_secs(30);

/// What it came to.
pub(crate) struct Aftermath {
    contender: Contender,
    harm: Harm,
    exits: Vec<String>,
    took: Duration,
    sent: u64,
    lost: usize,
    in_dns: BTreeSet<String>,
    answering: BTreeSet<String>,
    renewed: BTreeSet<String>,
}

impl Harm {
    pub(crate) const ALL: [Harm; 4] = [Harm::Killed, Harm::Twice, Harm::Dies, Harm::NoRegistry];

    fn name(self) -> &'static str {
        match self {
            Harm::Killed => "killed, run again",
            Harm::Twice => "run twice at once",
            Harm::Dies => "image dies after 20 s",
            Harm::NoRegistry => "no registry",
        }
    }

    fn soak(self) -> Duration {
        if self == Harm::Dies { LONG_SOAK } else { SOAK }
    }

    /// Does it to one of them, in a lab of its own.
    pub(crate) fn meet(self, contender: Contender) -> Result<Aftermath> {
        let lab = Lab::up(LabSpec::default())?;
        let mut grounds = Grounds::lay(&lab, self.soak())?;
        let kind = match self {
            Harm::Dies => ImageKind::DiesAfter(20),
            Harm::Killed | Harm::Twice | Harm::NoRegistry => ImageKind::WebHealthcheck,
        };
        grounds.push_version(kind)?;
        grounds.forget_images()?;
        let users = Users::start(&lab, LOAD, USERS)?;
        let began = Instant::now();
        let exits = self.unfold(contender, &lab, &grounds)?;
        let took = began.elapsed();
        std::thread::sleep(AFTERWARDS);
        let report = users.stop()?;
        let hosts = lab.engines().iter();
        let page = |address| lab.get(&format!("http://{address}/"));
        let pages = hosts.map(|engine| (engine.host.site.clone(), page(engine.host.v4)));
        let pages: Vec<_> = pages.collect();
        let sites = |is: &dyn Fn(&str) -> bool| {
            let of = |(site, page): &(String, Result<(u16, String)>)| {
                let text = page
                    .as_ref()
                    .map(|page| page.1.as_str())
                    .unwrap_or_default();
                is(text).then(|| site.clone())
            };
            pages.iter().filter_map(of).collect()
        };
        let wanted = grounds.wanted();
        Ok(Aftermath {
            contender,
            harm: self,
            exits,
            took,
            sent: report.sent,
            lost: report.lost.len(),
            in_dns: in_dns(&lab)?,
            answering: sites(&|page| page.starts_with("version=")),
            renewed: sites(&|page| page.starts_with(&wanted)),
        })
    }

    /// How each process ended, in the order in which they were started.
    fn unfold(self, contender: Contender, lab: &Lab, grounds: &Grounds<'_>) -> Result<Vec<String>> {
        let start = || contender.start(lab, grounds.logs(), self.soak());
        let mut first = start()?;
        match self {
            Harm::Killed => {
                await_out(lab, "nyc")?;
                let old = lab.containers("nyc1")?.into_iter().map(|it| it.id);
                let old: BTreeSet<String> = old.collect();
                wait_until("a container of nyc goes", WITHIN, || {
                    let now = lab.containers("nyc1").unwrap_or_default();
                    let stands = now.iter().filter(|it| old.contains(&it.id));
                    stands.filter(|it| it.state == "running").count() < old.len()
                })?;
                // With all that it started: as when its machine is switched off.
                run(&["kill", "-KILL", "--", &format!("-{}", first.id())])?;
                first.wait()?;
                std::thread::sleep(Duration::from_secs(3));
                Ok(vec!["killed".to_owned(), end(&mut start()?)?])
            }
            Harm::Twice => {
                await_out(lab, "fra")?;
                let mut second = start()?;
                Ok(vec![end(&mut first)?, end(&mut second)?])
            }
            Harm::Dies => Ok(vec![end(&mut first)?]),
            Harm::NoRegistry => {
                await_out(lab, "fra")?;
                lab.kill_server(Server::Registry)?;
                Ok(vec![end(&mut first)?])
            }
        }
    }
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |sites: &BTreeSet<String>| {
            let all: Vec<&str> = sites.iter().map(String::as_str).collect();
            if all.is_empty() {
                "-".to_owned()
            } else {
                all.join(" ")
            }
        };
        write!(
            f,
            "| {} | {} | {} | {:.0} s | {} of {} | {} | {} | {} |",
            self.harm.name(),
            self.contender.name(),
            self.exits.join(", "),
            self.took.as_secs_f64(),
            self.lost,
            self.sent,
            list(&self.in_dns),
            list(&self.answering),
            list(&self.renewed)
        )
    }
}

/// The headings of what [`Aftermath`] prints.
pub(crate) const HEADINGS: &str = "| harm | who | exit | took | lost | in DNS | answer | on the new version |\n\
     |---|---|---|---|---|---|---|---|";

fn await_out(lab: &Lab, site: &str) -> Result<()> {
    let is_out = || in_dns(lab).is_ok_and(|sites| !sites.contains(site));
    wait_until(&format!("{site} is out of DNS"), WITHIN, is_out)
}

fn in_dns(lab: &Lab) -> Result<BTreeSet<String>> {
    let answer = lab.query(PRIMARY.into(), RECORD)?;
    let site = |address| lab.spec.site_of(address);
    Ok(answer.addresses.into_iter().filter_map(site).collect())
}

fn end(process: &mut Child) -> Result<String> {
    let mut ended = None;
    wait_until("it ends", WITHIN, || {
        ended = process.try_wait().ok().flatten();
        ended.is_some()
    })?;
    let code = ended.context("it has ended")?.code();
    Ok(code.map_or_else(|| "killed".to_owned(), |code| code.to_string()))
}
