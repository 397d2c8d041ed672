//! Runs a rotation in this process and shows it, until it has ended or Ctrl-C was pressed twice.
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::show::Show;
use crate::api::narrate::Narrator;
use crate::api::wire::Command as Wanted;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Said};
use crate::coordinator::input::Command;
use crate::coordinator::plan::Plan;
use crate::coordinator::state::State;
use crate::daemon::release::InPlace;
use crate::daemon::{Ask, Asking, Ears, Finish, Notice, RunError, Session, stop};
use crate::model::fleet::Fleet;

/// What is to be run.
pub(crate) enum Work {
    Begin(Box<Plan>, Asking),
    /// What was interrupted goes on, or is only brought to safety.
    Resume {
        supersede: bool,
        asking: Option<Asking>,
    },
}

/// # Errors
/// Where the rotation could not begin, the journal could not be written, or Ctrl-C was pressed
/// twice.
pub(crate) async fn drive(
    desk: &Desk,
    session: &mut Session,
    work: Work,
    mut show: Show,
) -> Result<Option<Finish>, Failure> {
    let narrator = match &work {
        Work::Begin(_, _) => Narrator::default(),
        Work::Resume { .. } => session.recent()?.storyteller().narrator().clone(),
    };
    let mut watch = Watch {
        desk,
        fleet: session.config.fleet.clone(),
        narrator,
        latest: Arc::new(session.state().clone()),
        interrupts: 0,
    };
    let (notices, mut heard) = mpsc::unbounded_channel();
    let (asks, mut asked) = mpsc::channel(8);
    let mut interrupts = signals(SignalKind::interrupt())?;
    let mut terminations = signals(SignalKind::terminate())?;
    let mut control = session.listen().await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ears = Ears {
        control: &mut control,
        notices,
        asks: &mut asked,
    };
    let mut run = Box::pin(run(session, work, ears));
    let result = loop {
        tokio::select! {
            biased;
            Some(notice) = heard.recv() => watch.hear(&notice, &mut show),
            result = &mut run => break result,
            _ = interrupts.recv() => {
                if watch.interrupted(&asks, &show) {
                    show.end();
                    return Err(Failure { exit: Exit::Interrupted, said: Said::Nothing });
                }
            }
            _ = terminations.recv() => watch.terminated(&asks, &show),
            _ = ticks.tick() => show.tick(&watch.narrator, &watch.latest, desk.clock.now()),
        }
    };
    drop(run);
    while let Ok(notice) = heard.try_recv() {
        watch.hear(&notice, &mut show);
    }
    show.end();
    tokio::select! {
        () = session.last_words() => {}
        // All is done, and written down.
        _ = interrupts.recv() => {}
    }
    let finish = result?;
    if finish.is_some() {
        tokio::select! {
            () = look_after_tags(desk, session) => {}
            // Each step is written down: it goes on after the next rotation.
            _ = interrupts.recv() => {}
        }
    }
    Ok(finish)
}

/// What was good is kept. That it cannot be changes nothing of how the rotation ended.
async fn look_after_tags(desk: &Desk, session: &mut Session) {
    let problems = match Box::pin(InPlace::of(session).look_after()).await {
        Ok(problems) => problems,
        Err(error) => {
            desk.output.say(&format!("keep-tags: {error}"));
            return;
        }
    };
    for problem in problems {
        desk.output.say(&format!("keep-tags: {}", problem.what));
        desk.output.say(&format!("  cure: {}", problem.cure));
    }
}

async fn run(
    session: &mut Session,
    work: Work,
    ears: Ears<'_>,
) -> Result<Option<Finish>, RunError> {
    match work {
        Work::Begin(plan, asking) => {
            let begun = Box::pin(session.begin(*plan, asking, ears));
            begun.await.map(Some)
        }
        Work::Resume { supersede, asking } => {
            Box::pin(session.resume(supersede, asking, ears)).await
        }
    }
}

pub(crate) fn signals(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        let what = format!("the system gives no signals: {error}");
        Failure::new(Exit::Fault, what, "try again")
    })
}

struct Watch<'a> {
    desk: &'a Desk,
    fleet: Fleet,
    narrator: Narrator,
    latest: Arc<State>,
    interrupts: u32,
}

impl Watch<'_> {
    fn hear(&mut self, notice: &Notice, show: &mut Show) {
        let Notice {
            event,
            before,
            after,
            at,
            ..
        } = notice;
        self.latest = Arc::clone(after);
        if let Some(line) = self.narrator.tell(&self.fleet, event, before, after, *at) {
            show.line(&line, self.desk.clock.now());
        }
    }

    /// Whoever manages services wants this process to end: what is out of DNS is finished, nothing
    /// further begins, and the next start goes on.
    fn terminated(&self, asks: &mpsc::Sender<Ask>, show: &Show) {
        show.say("SIGTERM: this process ends as soon as no site is out; the next start goes on.");
        show.say(&standing(&self.latest));
        drop(asks.try_send(stop()));
    }

    /// Ctrl-C: the first asks for an abort, the second ends the process (`true`).
    fn interrupted(&mut self, asks: &mpsc::Sender<Ask>, show: &Show) -> bool {
        self.interrupts += 1;
        if self.interrupts > 1 {
            show.say(&left_behind(&self.latest));
            return true;
        }
        show.say("Ctrl-C: no further visit starts; what is visited is brought to safety first.");
        show.say(&standing(&self.latest));
        show.say("Ctrl-C once more ends this process at once and leaves things as they stand.");
        let reason = "Ctrl-C".to_owned();
        let command = Command::Abort {
            actor: self.desk.user(),
            reason: Some(reason.clone()),
        };
        // A full channel means that an abort is on its way already.
        drop(asks.try_send(Ask {
            command,
            asking: Some(self.desk.asking(&Wanted::Abort { reason })),
            reply: None,
        }));
        false
    }
}

/// One line a visited site: its step, and what becomes of it.
fn standing(state: &State) -> String {
    let visits = state
        .rotation
        .iter()
        .flat_map(|rotation| rotation.visits.values());
    let lines = visits.map(|visit| {
        let (site, step) = (&visit.site, visit.stage.step().as_str());
        let marker = state.marker.as_ref();
        let is_dirty = marker.is_some_and(|marker| marker.dirty.contains(site));
        let is_out = marker.is_some_and(|marker| marker.out.contains(site));
        let fate = match (is_dirty, is_out) {
            (true, _) => "out of DNS, containers stopped: it is rebuilt and verified",
            (false, true) => "out of DNS, nothing of it was stopped: it goes back as it was",
            (false, false) => "in DNS as before",
        };
        format!("  {site}: {step}; {fate}")
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        "  no site is being visited".to_owned()
    } else {
        lines.join("\n")
    }
}

/// What the second Ctrl-C leaves, and what the next start does with it.
fn left_behind(state: &State) -> String {
    let next = state.rotation.as_ref().map_or(String::new(), |rotation| {
        let playbook = &rotation.plan.playbook;
        if rotation.ending.is_some() {
            return format!(
                "The next `cleanslate rotate {playbook}` brings these sites to safety and ends \
                 the rotation. The marker stays ours."
            );
        }
        format!(
            "The next `cleanslate rotate {playbook}` within 12 h goes on from here; any other \
             start brings these sites to safety first. The marker stays ours."
        )
    });
    format!("Interrupted. As it stands:\n{}\n{next}", standing(state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::World;

    #[test]
    fn ctrl_c_says_of_every_site_what_becomes_of_it() {
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        let mut said = vec![standing(machine.state())];
        while world.step(&mut machine) {
            let text = standing(machine.state());
            if text.contains("fra") && said.last() != Some(&text) {
                said.push(text);
            }
        }
        insta::assert_snapshot!(said.join("\n"), @r"
        no site is being visited
        fra: ready; in DNS as before
        fra: withdraw; in DNS as before
        fra: withdraw; out of DNS, nothing of it was stopped: it goes back as it was
        fra: drain; out of DNS, nothing of it was stopped: it goes back as it was
        fra: recreate; out of DNS, nothing of it was stopped: it goes back as it was
        fra: recreate; out of DNS, containers stopped: it is rebuilt and verified
        fra: verify; out of DNS, containers stopped: it is rebuilt and verified
        fra: restore; out of DNS, containers stopped: it is rebuilt and verified
        fra: restore; in DNS as before
        fra: soak; in DNS as before
        fra: signal; in DNS as before
        ");
        let left = left_behind(machine.state());
        assert!(left.contains("cleanslate rotate nightly"), "{left}");
    }
}
