//! The scratch name: whether it may be used, what stands there, and how it is left.
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::time::sleep;

use super::super::query::{Question, ask};
use super::super::read::{self, Names, Owner, Reading};
use super::super::rights::{self, RightsReport};
use super::super::send::CONNECT_WITHIN;
use super::super::tsig::Signer;
use super::super::wire::{Connection, WireError};
use super::change::{Change, Held};
use crate::coordinator::outcome::Problem;
use crate::model::fleet;
use crate::model::rrset::{MarkerSeen, RecordName};

/// How often what stands there is taken away before it is given up: somebody may write there too.
const CLEANINGS: u32 = 3;
/// After each of them it is looked so often whether it is gone: some servers show late.
const LOOKS: u32 = 5;
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A name that a fleet's primary is tried out on: its addresses, and the place of its marker. The
/// same rights are needed there as at a record of the fleet.
pub struct Scratch<'a> {
    pub(super) signer: &'a Signer,
    /// The fleet's, with this name beside its records: what grants must say.
    pub(super) declared: fleet::Dns,
    /// This name alone.
    pub(super) names: Names,
    name: RecordName,
}

/// What stands at the scratch name, and in which zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) held: Held,
    pub(super) serial: u32,
}

impl<'a> Scratch<'a> {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// The name is outside of the zone, or the fleet has its own use for it.
    pub(in super::super) fn new(
        declared: &fleet::Dns,
        signer: &'a Signer,
        name: &RecordName,
    ) -> Result<Scratch<'a>, Problem> {
        may_be_used(declared, name)?;
        let alone = fleet::Dns {
            records: [(name.clone(), no_sites())].into(),
            ..declared.clone()
        };
        let names = Names::of(&alone).map_err(|error: WireError| {
            let cure = "name another one for --scratch".to_owned();
            refused(name, &error.to_string(), cure)
        })?;
        let mut declared = declared.clone();
        declared.records.insert(name.clone(), no_sites());
        Ok(Scratch {
            signer,
            declared,
            names,
            name: name.clone(),
        })
    }

    /// Asks the primary whether nothing stands at the name or below it, and whether the key may
    /// write there; changes nothing.
    ///
    /// # Errors
    /// Why the name is not used, with what to do: the lines that grant it, where it is a right.
    pub async fn is_free(&self) -> Result<(), Vec<Problem>> {
        self.is_vacant().await.map_err(|problem| vec![problem])?;
        let RightsReport { problems, .. } =
            rights::check(&self.declared, &self.names, self.signer).await;
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems),
        }
    }

    /// NXDOMAIN, and nothing less: it says that there is no record of any type at the name, none
    /// below it (RFC 8020), and no wildcard that would answer for it.
    async fn is_vacant(&self) -> Result<(), Problem> {
        let server = self.server();
        let opened = Connection::open(server, CONNECT_WITHIN).await;
        let mut connection = opened.map_err(|error| read::problem(&error.into()))?;
        let question = Question::new(&self.owner().record, RecordType::A);
        let answers = ask(&mut connection, std::slice::from_ref(&question)).await;
        let answers = answers.map_err(|error| read::problem(&error))?;
        match answers.first().map(|answer| answer.response_code) {
            Some(ResponseCode::NXDomain) => Ok(()),
            Some(_) | None => Err(self.is_taken().await),
        }
    }

    async fn is_taken(&self) -> Problem {
        let held = self.look().await.map(|seen| seen.held);
        match held {
            Ok(held) if held.is_left_by_a_check() => Problem {
                what: format!(
                    "{} is not free: an earlier check was killed and left {held}",
                    self.name
                ),
                cure: self.by_hand(&held),
                is_transient: false,
            },
            Ok(held) if !held.is_empty() => {
                let what = format!("{held} stands there");
                refused(&self.name, &what, FREE.to_owned())
            }
            Ok(_) | Err(_) => {
                let what = "the primary has something at this name, below it, or a wildcard for it";
                refused(&self.name, what, FREE.to_owned())
            }
        }
    }

    /// What stands there now, asked over a connection of its own.
    pub(super) async fn look(&self) -> Result<Seen, Problem> {
        let opened = Connection::open(self.server(), CONNECT_WITHIN).await;
        let mut connection = opened.map_err(|error| read::problem(&error.into()))?;
        let reading = read::read(&mut connection, &self.names).await;
        let reading = reading.map_err(|error| read::problem(&error))?;
        Ok(seen(&reading))
    }

    /// Takes away whatever stands there, record by record. To be called however the proofs ended.
    ///
    /// # Errors
    /// What is left, and how to remove it.
    pub async fn clean(&self) -> Result<(), Problem> {
        let mut seen = self.look().await?;
        for _ in 0..CLEANINGS {
            if seen.held.is_empty() {
                return Ok(());
            }
            let change = Change::stating(&seen.held).deleting(&seen.held);
            // Whatever is answered: what stands there is asked anew.
            drop(self.send(&change).await);
            for _ in 0..LOOKS {
                seen = self.look().await?;
                if seen.held.is_empty() {
                    break;
                }
                sleep(LOOK_AGAIN_AFTER).await;
            }
        }
        match seen.held.is_empty() {
            true => Ok(()),
            false => Err(Problem {
                what: format!("{} is left at {}", seen.held, self.server()),
                cure: self.by_hand(&seen.held),
                is_transient: false,
            }),
        }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.declared.server
    }

    pub(super) fn owner(&self) -> &Owner {
        let mut owners = self.names.records.values();
        owners.next().expect("it was made of one name")
    }

    fn by_hand(&self, held: &Held) -> String {
        let name = &self.name;
        let mut lines = Vec::new();
        if !held.addresses.is_empty() {
            lines.push(format!("update delete {name} A"));
        }
        if !held.texts.is_empty() {
            lines.push(format!("update delete {} TXT", name.marker()));
        }
        format!("remove it, with nsupdate: {}", lines.join("; "))
    }
}

const FREE: &str = "name one at which nothing stands, such as cleanslate-scratch in your zone";

fn may_be_used(declared: &fleet::Dns, name: &RecordName) -> Result<(), Problem> {
    let zone = &declared.zone;
    if name == zone || !name.is_in(zone) {
        let cure = format!("name one inside of {zone}");
        return Err(refused(name, &format!("it is not inside of {zone}"), cure));
    }
    let marker = name.marker();
    let ours = declared.records.keys().find(|record| {
        let theirs = record.marker();
        let names = [record.as_str(), theirs.as_str()];
        names.contains(&name.as_str()) || names.contains(&marker.as_str())
    });
    match ours {
        Some(record) => {
            let why = format!("the fleet's record {record} uses it");
            Err(refused(name, &why, FREE.to_owned()))
        }
        None => Ok(()),
    }
}

fn refused(name: &RecordName, why: &str, cure: String) -> Problem {
    Problem {
        what: format!("{name} is not free: {why}"),
        cure,
        is_transient: false,
    }
}

fn no_sites() -> fleet::RecordPolicy {
    fleet::RecordPolicy {
        addresses: std::collections::BTreeMap::new(),
        min_in_service: None,
    }
}

fn seen(reading: &Reading) -> Seen {
    let view = &reading.view;
    let addresses = view.rrsets.values().flat_map(|set| &set.addresses);
    let texts = view.markers.values().flat_map(|seen| match seen {
        MarkerSeen::Absent => Vec::new(),
        MarkerSeen::Here(marker) => vec![marker.strings().join(" ")],
        MarkerSeen::Foreign { texts, .. } => texts.clone(),
    });
    Seen {
        held: Held {
            addresses: addresses
                .copied()
                .collect::<std::collections::BTreeSet<IpAddr>>(),
            texts: texts.collect(),
        },
        serial: view.serial,
    }
}
