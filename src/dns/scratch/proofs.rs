//! What is proved, one after the other. Each begins with what was read a moment ago, so that one
//! that goes wrong does not spoil the next.
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::time::{Instant, sleep};

use super::super::send::send_octets;
use super::super::wire::encode;
use super::change::{Change, Held, Said, fresh};
use super::ground::{LOOK_AGAIN_AFTER, Scratch, Seen};
use super::verdict::{Tried, differs, is_done, is_refused};
use crate::coordinator::outcome::Problem;

/// For so long what was written and does not show is looked for again: to tell a server that is
/// slow to show it from one that did not write it.
const SHOWS_WITHIN: Duration = Duration::from_secs(1);

/// One thing that every change of a fleet rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub of: &'static str,
    /// What was seen, or what the server does instead.
    pub result: Result<String, Problem>,
}

/// What was noticed in all changes so far, beside what each was for.
#[derive(Default)]
struct Noticed {
    /// Something that was written showed only so much later.
    late: Option<Duration>,
    written: u32,
    /// Changes after which the serial was the same.
    stood: u32,
    /// Updates that changed nothing, and after how many of them the serial was another. Others
    /// may change the zone meanwhile.
    idle: u32,
    moved: u32,
}

/// The proofs on their way; each is told as soon as it is known.
struct Proving<'a, T> {
    scratch: &'a Scratch<'a>,
    noticed: Noticed,
    tell: T,
}

impl Scratch<'_> {
    /// Proves one thing after the other, and tells each. What stands there afterwards is for
    /// [`Scratch::clean`] to take away, also where this is dropped in the middle.
    ///
    /// # Errors
    /// No answer, or one that proves nothing: what was not told was not proved.
    pub async fn prove(&self, tell: impl FnMut(Proof)) -> Result<(), Problem> {
        let proving = Proving {
            scratch: self,
            noticed: Noticed::default(),
            tell,
        };
        proving.all().await
    }
}

impl<T: FnMut(Proof)> Proving<'_, T> {
    async fn all(mut self) -> Result<(), Problem> {
        self.created_where_nothing_is().await?;
        self.not_created_twice().await?;
        self.carried_out_when_all_holds().await?;
        self.refused_when_anything_differs().await?;
        self.all_or_nothing().await?;
        self.both_together().await?;
        self.exactly_what_is_named().await?;
        self.nothing_to_do_is_no_error().await?;
        self.not_carried_out_again().await?;
        self.not_without_a_signature().await?;
        let race = self.scratch.race().await?;
        self.prove("of several at once exactly one is carried out", race);
        self.what_was_noticed();
        Ok(())
    }

    async fn created_where_nothing_is(&mut self) -> Result<(), Problem> {
        let wanted = Held::of(&[1, 2], &fresh());
        let change = Change::stating(&Held::default()).adding(&wanted);
        let tried = self.attempt(&change, &wanted).await?;
        self.prove(
            "records are created where none are",
            is_done(&tried, &wanted),
        );
        Ok(())
    }

    async fn not_created_twice(&mut self) -> Result<(), Problem> {
        self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let change = Change::stating(&Held::default()).adding(&Held::of(&[3], &fresh()));
        let tried = self.attempt_in_vain(&change).await?;
        self.prove("nothing is created where something is", is_refused(&tried));
        Ok(())
    }

    async fn carried_out_when_all_holds(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let wanted = Held {
            texts: [fresh()].into(),
            ..held.clone()
        };
        let tried = self
            .attempt(&Change::between(&held, &wanted), &wanted)
            .await?;
        self.prove(
            "a change is carried out when all it states holds",
            is_done(&tried, &wanted),
        );
        Ok(())
    }

    async fn refused_when_anything_differs(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2, 3], &fresh())).await?;
        let text = held.texts.iter().next().cloned().unwrap_or_default();
        let with = |numbers: &[u8]| Change::stating(&Held::of(numbers, &text));
        let without_marker = Held {
            texts: [].into(),
            ..held.clone()
        };
        let differing = [
            ("refused: an address too few is stated", with(&[1, 2])),
            (
                "refused: an address too many is stated",
                with(&[1, 2, 3, 4]),
            ),
            ("refused: another address is stated", with(&[1, 2, 4])),
            (
                "refused: addresses of a type that is not there are stated",
                with(&[1, 2, 3]).stating_a_v6(),
            ),
            (
                "refused: another marker is stated",
                Change::stating(&Held::of(&[1, 2, 3], &fresh())),
            ),
            (
                "refused: no marker is stated where one is",
                Change::stating(&without_marker),
            ),
        ];
        for (of, change) in differing {
            let change = change.adding(&Held::of(&[5], &fresh()));
            let tried = self.attempt_in_vain(&change).await?;
            self.prove(of, is_refused(&tried));
            self.settle(&held).await?;
        }
        Ok(())
    }

    /// Of what is stated something holds each time: the addresses do, then the marker does.
    async fn all_or_nothing(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let halves = [
            Held {
                texts: [fresh()].into(),
                ..held.clone()
            },
            Held {
                addresses: Held::of(&[7], "").addresses,
                ..held.clone()
            },
        ];
        let mut result = Ok("nothing was changed where half of it held".to_owned());
        for half in halves {
            let change = Change::stating(&half)
                .deleting(&Held::of(&[1], ""))
                .adding(&Held::of(&[6], &fresh()));
            let tried = self.attempt_in_vain(&change).await?;
            result = result.and_then(|seen| is_refused(&tried).map(|_| seen));
            self.settle(&held).await?;
        }
        self.prove("one statement that does not hold undoes all", result);
        Ok(())
    }

    async fn both_together(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let wanted = Held::of(&[2, 3], &fresh());
        let tried = self
            .attempt(&Change::between(&held, &wanted), &wanted)
            .await?;
        self.prove(
            "addresses and marker change together",
            is_done(&tried, &wanted),
        );
        Ok(())
    }

    async fn exactly_what_is_named(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2, 3], &fresh())).await?;
        let wanted = Held {
            addresses: Held::of(&[1, 3], "").addresses,
            ..held.clone()
        };
        let tried = self
            .attempt(&Change::between(&held, &wanted), &wanted)
            .await?;
        self.prove(
            "a deletion takes the record it names, and no other",
            is_done(&tried, &wanted),
        );
        Ok(())
    }

    async fn nothing_to_do_is_no_error(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let one = Held {
            addresses: Held::of(&[2], "").addresses,
            texts: [].into(),
        };
        let none = Held {
            addresses: Held::of(&[9], "").addresses,
            texts: [].into(),
        };
        let change = Change::stating(&held).adding(&one).deleting(&none);
        let tried = self.attempt_in_vain(&change).await?;
        self.prove(
            "adding what is there and deleting what is not is no error",
            is_done(&tried, &held),
        );
        Ok(())
    }

    /// After its addresses have come back, as they do every night; only the marker tells.
    async fn not_carried_out_again(&mut self) -> Result<(), Problem> {
        let full = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let less = Held::of(&[1], &fresh());
        let caught = self.attempt(&Change::between(&full, &less), &less).await?;
        let again = Held::of(&[1, 2], &fresh());
        let back = self
            .attempt(&Change::between(&less, &again), &again)
            .await?;
        let code = self.resend(&caught.octets).await?;
        let after = self.scratch.look().await?;
        let result = if back.after.held == after.held {
            Ok(format!("the same octets again: {code}, nothing changed"))
        } else {
            Err(differs(format!(
                "the same octets, sent again later, made {} of {}",
                after.held, back.after.held
            )))
        };
        self.prove("a message that comes again changes nothing", result);
        Ok(())
    }

    async fn not_without_a_signature(&mut self) -> Result<(), Problem> {
        let held = self.settle(&Held::of(&[1, 2], &fresh())).await?;
        let change = Change::between(&held, &Held::of(&[1, 2, 8], &fresh()));
        let octets = encode(&change.message(self.scratch));
        let octets = octets.map_err(|error| super::super::read::problem(&error.into()))?;
        let code = self.resend(&octets).await?;
        let after = self.scratch.look().await?;
        let result = if after.held == held {
            Ok(format!("unsigned: {code}, nothing changed"))
        } else {
            Err(Problem {
                what: format!("an unsigned update made {} of {held}", after.held),
                cure: "take updates by key alone: in BIND update-policy or allow-update { key … }, \
                       in Knot an ACL with a key, in PowerDNS TSIG-ALLOW-DNSUPDATE; whoever reaches \
                       port 53 from here may change the zone"
                    .to_owned(),
                is_transient: false,
            })
        };
        self.prove("an update without a signature changes nothing", result);
        Ok(())
    }

    fn what_was_noticed(&mut self) {
        let noticed = &self.noticed;
        let shown = match noticed.late {
            None => Ok(format!(
                "{} changes, each read back at once",
                noticed.written
            )),
            Some(late) => Err(differs(format!(
                "what was written showed {} ms later",
                late.as_millis()
            ))),
        };
        let serial = if noticed.stood > 0 {
            Err(Problem {
                what: format!(
                    "the serial stood still at {} of {} changes: secondaries do not learn of them",
                    noticed.stood, noticed.written
                ),
                cure: "let the server raise it with each update; PowerDNS: pdnsutil set-meta ZONE \
                       SOA-EDIT-DNSUPDATE INCREASE"
                    .to_owned(),
                is_transient: false,
            })
        } else if noticed.idle > 0 && noticed.moved == noticed.idle {
            Err(differs(format!(
                "the serial moved at each of {} updates that changed nothing",
                noticed.idle
            )))
        } else {
            Ok(format!(
                "it moved with each of {} changes, and not with what changed nothing",
                noticed.written
            ))
        };
        self.prove("what was written is read back at once", shown);
        self.prove("the serial moves with each change", serial);
    }

    fn prove(&mut self, of: &'static str, result: Result<String, Problem>) {
        (self.tell)(Proof { of, result });
    }

    /// Sends a change that is to make `wanted` of what is there.
    async fn attempt(&mut self, change: &Change, wanted: &Held) -> Result<Tried, Problem> {
        let before = self.scratch.look().await?;
        let (octets, said) = self.scratch.send(change).await?;
        let mut after = self.scratch.look().await?;
        if said == Said::Done && after.held != *wanted {
            after = self.look_again(after, wanted).await?;
        }
        if after.held == *wanted && before.held != *wanted {
            self.noticed.written += 1;
            self.noticed.stood += u32::from(after.serial == before.serial);
        }
        Ok(Tried {
            before,
            said,
            after,
            octets,
        })
    }

    async fn look_again(&mut self, mut seen: Seen, wanted: &Held) -> Result<Seen, Problem> {
        let since = Instant::now();
        while seen.held != *wanted && since.elapsed() < SHOWS_WITHIN {
            sleep(LOOK_AGAIN_AFTER).await;
            seen = self.scratch.look().await?;
        }
        if seen.held == *wanted {
            self.noticed.late = self.noticed.late.max(Some(since.elapsed()));
        }
        Ok(seen)
    }

    /// Sends a change that is to change nothing.
    async fn attempt_in_vain(&mut self, change: &Change) -> Result<Tried, Problem> {
        let before = self.scratch.look().await?;
        let (octets, said) = self.scratch.send(change).await?;
        let after = self.scratch.look().await?;
        if after.held == before.held {
            self.noticed.idle += 1;
            self.noticed.moved += u32::from(after.serial != before.serial);
        }
        Ok(Tried {
            before,
            said,
            after,
            octets,
        })
    }

    /// Makes the name hold `wanted`, whatever was made of it; gives back what it holds.
    async fn settle(&mut self, wanted: &Held) -> Result<Held, Problem> {
        let held = self.scratch.look().await?.held;
        if held == *wanted {
            return Ok(held);
        }
        let tried = self
            .attempt(&Change::between(&held, wanted), wanted)
            .await?;
        Ok(tried.after.held)
    }

    async fn resend(&self, octets: &[u8]) -> Result<ResponseCode, Problem> {
        let code = send_octets(self.scratch.server(), octets).await;
        code.map_err(|what| Problem {
            what,
            cure: "see the server's log".to_owned(),
            is_transient: true,
        })
    }
}
