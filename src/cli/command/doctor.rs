//! `doctor`: asks every real thing whether a rotation would work.
use clap::Args;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use crate::daemon::doctor::{Check, Found, examine};
use crate::model::fleet::Fleet;

/// Asks every name server, engine, registry and probe, and proves the DNS rights
///
/// Changes nothing: rights are proved by an UPDATE that adds what is there and deletes what is
/// not. Exits 4 where something is wrong, 5 where something could not be asked.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Prints the server configuration that grants just what is needed
    #[arg(long)]
    grants: bool,
}

pub(crate) async fn run(desk: &Desk, args: &Doctor) -> Outcome {
    let loaded = desk.load()?;
    let fleet = &loaded.fleet;
    if args.grants {
        desk.output.result(&grants(fleet));
        return Ok(Exit::Done);
    }
    let adapters = desk.adapters(fleet)?;
    let checks = Box::pin(examine(&adapters, desk.clock)).await;
    for check in &checks {
        if desk.output.is_json {
            desk.output.json(check);
        } else {
            desk.output.result(&text(desk, check));
        }
    }
    Ok(exit(&checks))
}

fn exit(checks: &[Check]) -> Exit {
    let of = |check: &Check| match check.found {
        Found::Well => Exit::Done,
        Found::Wrong => Exit::Refused,
        Found::Unasked => Exit::Later,
    };
    checks.iter().map(of).fold(Exit::Done, Exit::worse)
}

fn grants(fleet: &Fleet) -> String {
    let grants = crate::dns::grants(&fleet.dns);
    format!(
        "BIND:\n{}\nKnot:\n{}\nPowerDNS:\n{}",
        grants.bind, grants.knot, grants.powerdns
    )
}

fn text(desk: &Desk, check: &Check) -> String {
    let mark = match check.found {
        Found::Well => desk.output.paint("32", "ok      "),
        Found::Wrong => desk.output.paint("31;1", "wrong   "),
        Found::Unasked => desk.output.paint("33", "no answer"),
    };
    let line = format!("{mark}  {}: {}", check.asked, check.answer);
    match &check.cure {
        Some(cure) => format!("{line}\n          cure: {cure}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::outcome::Problem;

    #[test]
    fn a_finding_beats_what_could_not_be_asked() {
        let problem = |is_transient| Problem {
            what: "x".to_owned(),
            cure: "y".to_owned(),
            is_transient,
        };
        let (well, wrong, unasked) = (
            Check::well("a", "b"),
            Check::problem("a", &problem(false)),
            Check::problem("a", &problem(true)),
        );
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(std::slice::from_ref(&well)), Exit::Done);
        assert_eq!(exit(&[well.clone(), unasked.clone()]), Exit::Later);
        assert_eq!(exit(&[unasked, wrong, well]), Exit::Refused);
    }
}
