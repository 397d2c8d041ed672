//! Who asks: the user at the other end of the socket, or the owner of a token.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use jiff::Timestamp;

use super::connections::Spoken;
use super::front::Front;
use super::problem::Problem;
use crate::api::actor::Actor;
use crate::api::page::Ticket;
use crate::api::token::{Entry, Right, Role};

/// Who is at the other end of a connection, as far as the connection tells.
#[derive(Clone, Debug)]
pub(in crate::api) enum Peer {
    /// The kernel says who it is, and the socket's permissions that they may.
    Local(Actor),
    Remote {
        address: IpAddr,
        /// Whether nobody on the way can read what is said.
        is_encrypted: bool,
    },
}

/// Whoever asks, known by name.
#[derive(Clone, Debug)]
pub(in crate::api) struct Caller {
    pub(in crate::api) actor: Actor,
    pub(in crate::api) role: Role,
}

/// An answer to a wrong token comes no sooner, and each further one from there later, up to
/// [`SLOWEST`]. Whoever has a right one is never kept waiting: nobody can lock others out.
const SLOW: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(5);

impl Caller {
    pub(in crate::api) fn of_token(entry: &Entry) -> Caller {
        Caller {
            actor: Actor::of_token(&entry.name),
            role: entry.role,
        }
    }

    /// # Errors
    /// The role is not enough.
    pub(in crate::api) fn needs(&self, right: Right) -> Result<(), Problem> {
        if self.role.may(right) {
            return Ok(());
        }
        let least = right.least();
        let what = format!(
            "this takes a token of role {least}, and that of {} has role {}",
            self.actor.user, self.role
        );
        let cure = "ask somebody who may, or for another token (`cleanslate token create`)";
        let mut problem = Problem::new(StatusCode::FORBIDDEN, "role", what, cure);
        problem.refusal.exit = 4;
        Err(problem)
    }
}

impl FromRequestParts<Arc<Front>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Caller, Problem> {
        let caller = match parts.extensions.get::<Peer>() {
            Some(Peer::Local(actor)) => Caller {
                actor: actor.clone(),
                role: Role::Admin,
            },
            Some(Peer::Remote {
                address,
                is_encrypted,
            }) => {
                let address = *address;
                let caller = by_session(parts, *is_encrypted, front);
                match caller.map_or_else(|| by_token(parts, front), Ok) {
                    Ok(caller) => {
                        front.failures.forget(address);
                        caller
                    }
                    Err(problem) => {
                        front.slow_down(address).await;
                        return Err(problem);
                    }
                }
            }
            None => return Err(unknown("nobody knows who asks".to_owned())),
        };
        if let Some(spoken) = parts.extensions.get::<Spoken>() {
            spoken.note();
        }
        Ok(caller)
    }
}

/// Whoever signed in to the page may look by what their browser keeps, and no more than look:
/// other pages could make it send that too.
fn by_session(parts: &Parts, is_encrypted: bool, front: &Front) -> Option<Caller> {
    let looks = matches!(parts.method, Method::GET | Method::HEAD);
    if !looks || parts.headers.contains_key(header::AUTHORIZATION) {
        return None;
    }
    let ticket = Ticket::read(&parts.headers, is_encrypted)?;
    let entry = front.signed_in(&ticket)?;
    Some(Caller::of_token(&entry))
}

fn by_token(parts: &Parts, front: &Front) -> Result<Caller, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION);
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = bearer.ok_or_else(|| unknown("no token came with it".to_owned()))?;
    let entry = front.keys.open(token, Timestamp::now());
    let entry = entry.map_err(|denied| unknown(denied.to_string()))?;
    Ok(Caller::of_token(&entry))
}

fn unknown(what: String) -> Problem {
    let cure = "send `Authorization: Bearer TOKEN`, a token made by `cleanslate token create`";
    let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "token", what, cure);
    problem.refusal.exit = 4;
    problem
}

/// Twice as long each time.
pub(super) fn penalty(failures: u32) -> Duration {
    let doubled = SLOW.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(SLOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_costs_twice_as_much_up_to_a_limit() {
        let seconds = [0, 1, 2, 3, 6, 7, 40].map(|failures| penalty(failures).as_millis());
        assert_eq!(seconds, [100, 100, 200, 400, 3200, 5000, 5000]);
    }
}
