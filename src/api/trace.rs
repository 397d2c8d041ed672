//! What a rotation is as a trace: a span for the whole, one a visit, one a step, from the times of
//! its event lines.
use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::public::{Line, Public};
use super::when::When;
use super::words::words;
use crate::model::id::{RotationId, SiteName};
use crate::model::span::{Span, SpanId, SpanNote, TraceId};

/// The same for the same rotation, whoever tells it and however often.
pub fn trace_id(rotation: &RotationId) -> TraceId {
    let sum = Sha256::digest(format!("cleanslate.trace\0{rotation}"));
    let mut id = [0; 16];
    id.copy_from_slice(&sum[..16]);
    TraceId(id)
}

/// The spans of a rotation that was told from its first line on, the whole first. A step lasts
/// until the line that ends it: what follows without a line of its own is in the next one.
pub fn spans(lines: &[Line]) -> Vec<Span> {
    let Some(first) = lines.first() else {
        return Vec::new();
    };
    let mut tree = Tree::of(first);
    for line in lines {
        tree.hear(line);
    }
    tree.spans()
}

/// A trace that grows.
struct Tree {
    whole: Span,
    /// Those under way.
    visits: BTreeMap<SiteName, Visit>,
    /// Those that are over, each before its steps.
    over: Vec<Span>,
}

struct Visit {
    span: Span,
    /// Those that are over.
    steps: Vec<Span>,
    step: Span,
    /// When the last line was told.
    last: Timestamp,
}

impl Tree {
    fn of(first: &Line) -> Tree {
        let mut whole = begun(&first.rotation, None, "rotation", first.at);
        whole.about("cleanslate.rotation", first.rotation.to_string());
        Tree {
            whole,
            visits: BTreeMap::new(),
            over: Vec::new(),
        }
    }

    fn hear(&mut self, line: &Line) {
        self.whole.ended = line.at;
        match &line.site {
            Some(site) if !line.public.is_end() => self.hear_of(site, line),
            Some(_) | None => self.whole.hear(line),
        }
    }

    fn hear_of(&mut self, site: &SiteName, line: &Line) {
        if let Public::VisitStarted { .. } = line.public {
            let visit = Visit::of(site, line, self.whole.id);
            if let Some(earlier) = self.visits.insert(site.clone(), visit) {
                self.over.extend(earlier.spans());
            }
        }
        let Some(mut visit) = self.visits.remove(site) else {
            return;
        };
        visit.hear(line);
        match &line.public {
            Public::VisitCompleted { .. }
            | Public::PutBack { .. }
            | Public::RolledBack { .. }
            | Public::SiteSkipped { .. }
            | Public::SiteQuarantined { .. } => self.over.extend(visit.spans()),
            Public::RotationPlanned { .. }
            | Public::VisitStarted { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::Ready { .. }
            | Public::WithdrawRefused { .. }
            | Public::Withdrawn { .. }
            | Public::Draining { .. }
            | Public::Drained { .. }
            | Public::Recreated { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Restored { .. }
            | Public::Soaked
            | Public::RollingBack { .. }
            | Public::Retrying { .. }
            | Public::HookFailed { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationHalted { .. }
            | Public::RotationAborted { .. }
            | Public::RotationCompleted { .. } => {
                self.visits.insert(site.clone(), visit);
            }
        }
    }

    /// A visit whose end was not told ended with the last that was told of it.
    fn spans(self) -> Vec<Span> {
        let mut spans = vec![self.whole];
        spans.extend(self.over);
        spans.extend(self.visits.into_values().flat_map(Visit::spans));
        spans
    }
}

impl Visit {
    fn of(site: &SiteName, line: &Line, whole: SpanId) -> Visit {
        let mut span = begun(
            &line.rotation,
            Some(whole),
            &format!("visit {site}"),
            line.at,
        );
        // A site may be visited twice in a rotation.
        span.id = id(&line.rotation, &format!("visit {site} {}", line.n));
        span.about("cleanslate.site", site.to_string());
        let step = step_of(&span, site, line, line.at);
        Visit {
            span,
            steps: Vec::new(),
            step,
            last: line.at,
        }
    }

    fn hear(&mut self, line: &Line) {
        let name = line.step.as_deref().unwrap_or(&self.step.name);
        if let Some(site) = line.site.as_ref().filter(|_| name != self.step.name) {
            // This line is told when its step begins, the others when something ends.
            let begins = matches!(line.public, Public::Draining { .. });
            let since = if begins { line.at } else { self.last };
            let next = step_of(&self.span, site, line, since);
            let mut earlier = std::mem::replace(&mut self.step, next);
            earlier.ended = since;
            self.steps.push(earlier);
        }
        self.step.ended = line.at;
        self.span.ended = line.at;
        self.last = line.at;
        self.span.failed = failure(&line.public);
        self.step.failed = self.span.failed.clone();
        self.step.hear(line);
    }

    fn spans(self) -> Vec<Span> {
        let mut spans = vec![self.span];
        spans.extend(self.steps);
        spans.push(self.step);
        spans
    }
}

impl Span {
    fn about(&mut self, key: &'static str, value: String) {
        self.about.push((key, value));
    }

    /// Keeps what a line says beside its time.
    fn hear(&mut self, line: &Line) {
        match &line.public {
            Public::RotationPlanned {
                playbook,
                actor,
                reason,
                ..
            } => {
                self.name = format!("rotation {playbook}");
                self.about("cleanslate.playbook", playbook.to_string());
                self.about("cleanslate.actor", actor.clone());
                if let Some(reason) = reason {
                    self.about("cleanslate.reason", reason.clone());
                }
            }
            Public::Drained { traffic, .. } => {
                if let Some(traffic) = traffic {
                    self.about("cleanslate.packets_per_second", traffic.to_string());
                }
                self.note(line);
            }
            Public::RotationHalted { .. } | Public::RotationAborted { .. } => {
                self.failed = failure(&line.public);
                self.note(line);
            }
            Public::VisitStarted { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::Ready { .. }
            | Public::WithdrawRefused { .. }
            | Public::Withdrawn { .. }
            | Public::Draining { .. }
            | Public::Recreated { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Restored { .. }
            | Public::Soaked
            | Public::VisitCompleted { .. }
            | Public::PutBack { .. }
            | Public::RolledBack { .. }
            | Public::SiteSkipped { .. }
            | Public::SiteQuarantined { .. }
            | Public::RollingBack { .. }
            | Public::Retrying { .. }
            | Public::HookFailed { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationCompleted { .. } => self.note(line),
        }
    }

    fn note(&mut self, line: &Line) {
        let event = serde_json::to_value(&line.public).ok();
        let name = event.and_then(|event| Some(event.get("event")?.as_str()?.to_owned()));
        self.notes.push(SpanNote {
            at: line.at,
            name: name.unwrap_or_default(),
            text: words(line, &When::utc(), line.at),
        });
    }
}

/// Why what this line ends did not end well.
fn failure(public: &Public) -> Option<String> {
    match public {
        Public::PutBack { why, .. }
        | Public::RollingBack { why, .. }
        | Public::RolledBack { why, .. }
        | Public::SiteSkipped { why, .. }
        | Public::SiteQuarantined { why, .. } => Some(why.clone()),
        Public::RotationHalted { cause, .. } => Some(cause.clone()),
        Public::RotationAborted { reason } => Some(reason.clone()),
        Public::RotationPlanned { .. }
        | Public::VisitStarted { .. }
        | Public::ImagesPulled { .. }
        | Public::KeptDrifted { .. }
        | Public::Ready { .. }
        | Public::WithdrawRefused { .. }
        | Public::Withdrawn { .. }
        | Public::Draining { .. }
        | Public::Drained { .. }
        | Public::Recreated { .. }
        | Public::TrialBegun { .. }
        | Public::TrialAccepted { .. }
        | Public::Verified { .. }
        | Public::Restored { .. }
        | Public::Soaked
        | Public::VisitCompleted { .. }
        | Public::Retrying { .. }
        | Public::HookFailed { .. }
        | Public::Waiting { .. }
        | Public::TagMoved { .. }
        | Public::TakenOver { .. }
        | Public::RotationPaused { .. }
        | Public::RotationResumed { .. }
        | Public::RotationCompleted { .. } => None,
    }
}

fn step_of(visit: &Span, site: &SiteName, line: &Line, since: Timestamp) -> Span {
    let name = line.step.as_deref().unwrap_or("visit");
    let mut step = begun(&line.rotation, Some(visit.id), name, since);
    step.id = id(&line.rotation, &format!("step {site} {}", line.n));
    step.about("cleanslate.site", site.to_string());
    step
}

fn begun(rotation: &RotationId, parent: Option<SpanId>, name: &str, at: Timestamp) -> Span {
    Span {
        id: id(rotation, name),
        parent,
        name: name.to_owned(),
        began: at,
        ended: at,
        about: Vec::new(),
        notes: Vec::new(),
        failed: None,
    }
}

fn id(rotation: &RotationId, of: &str) -> SpanId {
    let sum = Sha256::digest(format!("cleanslate.span\0{rotation}\0{of}"));
    let mut id = [0; 8];
    id.copy_from_slice(&sum[..8]);
    SpanId(id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::narrate::Narrator;
    use crate::coordinator::event::Event;
    use crate::coordinator::machine::Coordinator;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, site};

    fn begun_in(world: &mut World) -> Coordinator {
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        machine
    }

    fn lines(world: &World) -> Vec<Line> {
        let mut machine = world.coordinator();
        let mut narrator = Narrator::default();
        let mut lines = Vec::new();
        for (event, at) in &world.journal {
            let before = machine.state().clone();
            machine.replay([(event.clone(), *at)]);
            lines.extend(narrator.tell(&world.fleet, event, &before, machine.state(), at.wall));
        }
        lines
    }

    /// `  visit fra  +0.0s 100.1s`, indented by how deep it lies.
    fn drawn(spans: &[Span]) -> String {
        let depth = |span: &Span| {
            let parent = |id| spans.iter().find(|span| span.id == id).unwrap();
            std::iter::successors(span.parent.map(parent), |span| span.parent.map(parent)).count()
        };
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
        let draw = |span: &Span| {
            let failed = span
                .failed
                .as_ref()
                .map_or(String::new(), |why| format!(" FAILED: {why}"));
            let indent = "  ".repeat(depth(span));
            let (began, took) = (
                seconds(spans[0].began, span.began),
                seconds(span.began, span.ended),
            );
            format!("{indent}{} +{began:.1}s {took:.1}s{failed}", span.name)
        };
        spans.iter().map(draw).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_night_is_a_tree_of_visits_and_steps() {
        let mut world = World::new();
        let mut machine = begun_in(&mut world);
        world.run(&mut machine);
        let spans = spans(&lines(&world));
        insta::assert_snapshot!(drawn(&spans), @r"
        rotation nightly +0.0s 300.3s
          visit fra +0.0s 100.1s
            ready +0.0s 0.0s
            withdraw +0.0s 0.0s
            drain +0.1s 40.0s
            recreate +40.1s 0.0s
            verify +40.1s 0.0s
            restore +40.1s 0.0s
            soak +40.1s 60.0s
            signal +100.1s 0.0s
          visit nyc +100.1s 100.1s
            ready +100.1s 0.0s
            withdraw +100.1s 0.0s
            drain +100.2s 40.0s
            recreate +140.2s 0.0s
            verify +140.2s 0.0s
            restore +140.2s 0.0s
            soak +140.2s 60.0s
            signal +200.2s 0.0s
          visit sin +200.2s 100.1s
            ready +200.2s 0.0s
            withdraw +200.2s 0.0s
            drain +200.3s 40.0s
            recreate +240.3s 0.0s
            verify +240.3s 0.0s
            restore +240.3s 0.0s
            soak +240.3s 60.0s
            signal +300.3s 0.0s
        ");
        let notes: Vec<&str> = spans
            .iter()
            .flat_map(|span| &span.notes)
            .map(|note| note.name.as_str())
            .collect();
        assert_eq!(notes.len(), lines(&world).len() - 1, "{notes:?}");
        let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
        assert_eq!(ids.len(), spans.len());
        let of_drain = spans.iter().find(|span| span.name == "drain").unwrap();
        assert_eq!(
            of_drain.about,
            [
                ("cleanslate.site", "fra".to_owned()),
                ("cleanslate.packets_per_second", "0.1".to_owned()),
            ]
        );
        assert_eq!(
            of_drain.notes[1].text,
            "drained in 40s: quiet, 0.1 packets a second"
        );
    }

    #[test]
    fn what_failed_says_why_and_every_step_lies_within_its_visit() {
        let mut world = World::new();
        world.faults.unhealthy.insert(site("nyc"));
        let mut machine = begun_in(&mut world);
        world.run(&mut machine);
        let spans = spans(&lines(&world));
        let failed = spans
            .iter()
            .filter_map(|span| Some((span.name.as_str(), span.failed.as_deref()?)));
        let why = "web exited with 1";
        let expected = [
            ("rotation nightly", why),
            ("visit nyc", why),
            ("recreate", why),
        ];
        assert_eq!(failed.collect::<Vec<_>>(), expected);
        for span in &spans {
            let Some(parent) = span.parent else { continue };
            let parent = spans.iter().find(|other| other.id == parent).unwrap();
            assert!(
                parent.began <= span.began && span.ended <= parent.ended,
                "{}",
                span.name
            );
            assert!(span.began <= span.ended, "{}", span.name);
        }
    }

    /// Whoever goes on with a rotation tells the same trace, longer.
    #[test]
    fn a_killed_night_is_one_trace() {
        let mut world = World::new();
        let mut machine = begun_in(&mut world);
        world.until(&mut machine, |event| {
            matches!(event, Event::DrainedAtLeast { .. })
        });
        let before = spans(&lines(&world));
        let mut machine = world.crash();
        world.run(&mut machine);
        let after = spans(&lines(&world));
        let ids: BTreeSet<SpanId> = after.iter().map(|span| span.id).collect();
        assert!(before.iter().all(|span| ids.contains(&span.id)));
        let names: Vec<&str> = after[0]
            .notes
            .iter()
            .map(|note| note.name.as_str())
            .collect();
        assert_eq!(names, ["rotation_resumed", "rotation_completed"]);
        let rotation = |id: &str| trace_id(&id.parse().unwrap());
        assert_ne!(rotation("nightly-1"), rotation("nightly-2"));
    }
}
