//! `retry`: a new rotation of what the last one did not complete.
use clap::Args;

use super::super::args::Because;
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::Until;
use super::super::memory::Memory;
use super::act::{self, Request};
use crate::api::wire::Command;
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::plan::{Mode, Options};
use crate::daemon::past::planned;
use crate::daemon::survey::ImageSource;
use crate::model::id::SiteName;
use crate::model::time::Now;

/// Begins a new rotation of the sites that the last one did not complete
///
/// It is planned anew: tags are looked at again.
#[derive(Args, Debug)]
pub(crate) struct Retry {
    #[command(flatten)]
    because: Because,
}

pub(crate) async fn run(desk: &Desk, args: &Retry) -> Outcome {
    let reason = args.because.reason.clone();
    let command = Command::Retry { reason };
    if let Some(exit) = act::pass_on(desk, "retry".to_owned(), &command, Until::Ended).await? {
        return Ok(exit);
    }
    let loaded = desk.load()?;
    let nothing = || {
        let what = "there is no rotation to be retried";
        Failure::new(Exit::Later, what, "begin one with `cleanslate rotate`")
    };
    let memory = Memory::open(desk, &loaded)?.ok_or_else(nothing)?;
    let last = memory.rotations()?.pop().ok_or_else(nothing)?.rotation;
    let events = memory.events(&last)?;
    let plan = events.iter().find_map(|(event, _)| planned(event));
    let playbook = plan.ok_or_else(nothing)?.playbook.clone();
    let is_known = |site: &SiteName| loaded.fleet.sites.contains_key(site);
    let left: Vec<SiteName> = left(&events).into_iter().filter(is_known).collect();
    if left.is_empty() {
        let text = format!("{last} completed every site: nothing to retry");
        desk.output.progress(&text);
        return Ok(Exit::Done);
    }
    drop(memory);
    let names: Vec<&str> = left.iter().map(SiteName::as_str).collect();
    let question = format!("Visit {}, which {last} left?", names.join(", "));
    let request = Request {
        mode: Mode::Rotate,
        playbook,
        sites: Some(left),
        options: Options {
            wait_s: act::patience(desk, None),
            ..Options::default()
        },
        reason: Some(args.because.reason.clone()),
        source: ImageSource::Registry,
    };
    act::act(desk, request, args.because.yes, &question).await
}

/// The sites that the rotation was to visit, by its plan or as it was asked meanwhile, and whose
/// last visit did not complete.
fn left(events: &[(Event, Now)]) -> Vec<SiteName> {
    let mut left: Vec<SiteName> = Vec::new();
    for (event, _) in events {
        if let Event::Planned { plan } | Event::RebuildQueued { plan } = event {
            for site in plan.sites() {
                if !left.contains(site) {
                    left.push(site.clone());
                }
            }
        } else if let Event::VisitEnded {
            site,
            end: VisitEnd::Completed,
            ..
        } = event
        {
            left.retain(|other| other != site);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{World, site};

    #[test]
    fn what_was_skipped_and_what_was_not_reached_is_left() {
        let mut world = World::new();
        world.faults.unready.insert(site("nyc"));
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        world.until(&mut machine, |event| {
            matches!(event, Event::WaveEnded { wave: 0 })
        });
        assert_eq!(left(&world.journal), [site("nyc"), site("sin")]);
        world.run(&mut machine);
        assert_eq!(left(&world.journal), [site("nyc")]);
    }
}
