//! Asks the authoritative servers until all of them have followed a change.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout_at};

use super::line::Line;
use super::random;
use super::read::Names;
use crate::coordinator::effect::Follow;
use crate::coordinator::follow::has_followed;
use crate::coordinator::outcome::Lagging;
use crate::model::rrset::{ServerAnswer, ZoneView};
use crate::model::time::Ttl;

/// How waiting for the servers ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// All have followed, and all were asked together once more after the last of them had. The
    /// largest TTL that any serves for an RRset of the fleet.
    Followed { ttl: Ttl },
    /// The time has passed. What each server that has not followed said last.
    Behind { servers: Vec<Lagging> },
}

/// The pauses before the first polls of a server, in milliseconds: a NOTIFY and a transfer take
/// about ten. After these every [`PACE_MS`].
const FIRST_PACES_MS: [u64; 4] = [20, 50, 100, 150];

/// A secondary that missed its NOTIFY follows seconds or minutes later: four looks a second cost
/// nothing and lose no time worth having.
const PACE_MS: u64 = 250;

/// Polls `servers` until each has followed, or is silent and was left out, then asks all of them together: one may have gone
/// back meanwhile, behind a balancer or from a backup.
pub(super) async fn await_servers(
    names: &Names,
    servers: BTreeSet<SocketAddr>,
    follow: &Follow,
    until: Instant,
    mut progress: impl FnMut(&[Lagging]),
) -> Following {
    let unasked: BTreeMap<SocketAddr, Lagging> = servers.iter().map(unasked).collect();
    let mut lagging = unasked.clone();
    let mut lines = servers.into_iter().map(Line::new).collect();
    let following = async {
        loop {
            let polls = ask_all(names, lines, follow).await;
            if let Some(ttl) = largest_ttl(&polls) {
                return ttl;
            }
            lines = poll_each(names, polls, follow, &mut lagging, &mut progress).await;
            lagging.clone_from(&unasked);
        }
    };
    match timeout_at(until, following).await {
        Ok(ttl) => Following::Followed { ttl },
        Err(_elapsed) => Following::Behind {
            servers: lagging.into_values().collect(),
        },
    }
}

/// One look at one server.
struct Poll {
    line: Line,
    /// `None`: it was left out, and is silent.
    seen: Result<Option<ZoneView>, Lagging>,
}

async fn ask_all(names: &Names, lines: Vec<Line>, follow: &Follow) -> Vec<Poll> {
    join_all(lines.into_iter().map(|line| poll(names, line, follow))).await
}

async fn poll(names: &Names, mut line: Line, follow: &Follow) -> Poll {
    let ServerAnswer { server, view } = line.answer(names).await;
    let is_left_out = follow.without.contains(&server);
    let lags = |view, why| Lagging {
        answer: ServerAnswer { server, view },
        why,
    };
    let seen = match view {
        Ok(view) => match has_followed(&view, follow) {
            Ok(()) => Ok(Some(view)),
            // It still sends users to a site that is out: only silence can be left out.
            Err(why) if is_left_out => {
                let why = format!("{why}; it was left out as dead, and it answers");
                Err(lags(Ok(view), why))
            }
            Err(why) => Err(lags(Ok(view), why)),
        },
        Err(_silent) if is_left_out => Ok(None),
        Err(why) => Err(lags(Err(why.clone()), why)),
    };
    Poll { line, seen }
}

/// The largest TTL, if all have followed.
fn largest_ttl(polls: &[Poll]) -> Option<Ttl> {
    let mut ttl = Ttl(0);
    for poll in polls {
        let view = poll.seen.as_ref().ok()?.iter();
        let served = view
            .flat_map(|view| view.rrsets.values())
            .filter_map(|rrset| rrset.ttl);
        ttl = served.fold(ttl, Ttl::max);
    }
    Some(ttl)
}

/// Asks each server that lags at its own pace until it has followed; gives back all lines.
async fn poll_each(
    names: &Names,
    polls: Vec<Poll>,
    follow: &Follow,
    lagging: &mut BTreeMap<SocketAddr, Lagging>,
    progress: &mut impl FnMut(&[Lagging]),
) -> Vec<Line> {
    let mut done = Vec::new();
    let mut waiting = FuturesUnordered::new();
    lagging.clear();
    for poll in polls {
        match poll.seen {
            Ok(_) => done.push(poll.line),
            Err(lags) => {
                lagging.insert(lags.answer.server, lags);
                waiting.push(poll_later(names, poll.line, follow, 0));
            }
        }
    }
    report(lagging, progress);
    while let Some((poll, turn)) = waiting.next().await {
        let server = poll.line.server();
        let before = lagging.remove(&server);
        match poll.seen {
            Ok(_) => done.push(poll.line),
            Err(lags) => {
                lagging.insert(server, lags);
                waiting.push(poll_later(names, poll.line, follow, turn + 1));
            }
        }
        if lagging.get(&server) != before.as_ref() {
            report(lagging, progress);
        }
    }
    done
}

async fn poll_later(names: &Names, line: Line, follow: &Follow, turn: usize) -> (Poll, usize) {
    sleep(pace(turn)).await;
    (poll(names, line, follow).await, turn)
}

/// Three quarters to five quarters of the nominal pause, so that the servers of many fleets are
/// never asked in step.
fn pace(turn: usize) -> Duration {
    let nominal_us = FIRST_PACES_MS.get(turn).unwrap_or(&PACE_MS) * 1000;
    let jitter_us = nominal_us / 2 * u64::from(random::byte()) / 255;
    Duration::from_micros(nominal_us * 3 / 4 + jitter_us)
}

fn report(lagging: &BTreeMap<SocketAddr, Lagging>, progress: &mut impl FnMut(&[Lagging])) {
    let servers: Vec<Lagging> = lagging.values().cloned().collect();
    progress(&servers);
}

fn unasked(server: &SocketAddr) -> (SocketAddr, Lagging) {
    let why = "it was not asked together with all others in the time there was".to_owned();
    let answer = ServerAnswer {
        server: *server,
        view: Err(why.clone()),
    };
    (*server, Lagging { answer, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_slows_down_and_is_never_in_step() {
        let bounds = |turn| {
            let paces: BTreeSet<Duration> = (0..200).map(|_| pace(turn)).collect();
            assert!(paces.len() > 20, "200 paces, {} different", paces.len());
            let millis = |pace: Option<&Duration>| pace.unwrap().as_millis();
            (millis(paces.first()), millis(paces.last()))
        };
        let (low, high) = bounds(0);
        assert!(low >= 15 && high <= 25, "{low}–{high} ms");
        let (low, high) = bounds(9);
        assert!(low >= 187 && high <= 313, "{low}–{high} ms");
    }
}
