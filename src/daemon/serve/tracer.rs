//! Sends each rotation as a trace when it has ended; no night waits for it.
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::api::story::Story;
use crate::api::trace;
use crate::model::fleet::Fleet;
use crate::otlp::Collector;

/// How long the end of the process waits for what was not sent yet.
const LAST_WORDS: Duration = Duration::from_secs(10);

pub(super) struct Tracer {
    collector: Option<Arc<Collector>>,
    tasks: JoinSet<()>,
}

impl Tracer {
    /// To where the fleet's `[traces]` says, if it does.
    pub(super) fn start(fleet: &Fleet) -> Tracer {
        let mut tracer = Tracer {
            collector: None,
            tasks: JoinSet::new(),
        };
        tracer.reload(fleet);
        tracer
    }

    /// The configuration was read anew: what is being sent goes where it was to go.
    pub(super) fn reload(&mut self, fleet: &Fleet) {
        let collector = fleet.traces.as_ref().and_then(|traces| {
            let collector = Collector::new(traces, &fleet.name);
            if let Err(problem) = &collector {
                tracing::warn!(what = problem.what, cure = problem.cure, "no traces");
            }
            collector.ok()
        });
        self.collector = collector.map(Arc::new);
    }

    /// A rotation has ended.
    pub(super) fn tell(&mut self, story: &Story) {
        let (Some(collector), Some(first)) = (&self.collector, story.lines.first()) else {
            return;
        };
        while self.tasks.try_join_next().is_some() {}
        let collector = Arc::clone(collector);
        let (trace, spans) = (trace::trace_id(&first.rotation), trace::spans(&story.lines));
        self.tasks.spawn(async move {
            if let Err(problem) = collector.send(trace, &spans).await {
                tracing::warn!(what = problem.what, cure = problem.cure, "no trace");
            }
        });
    }

    /// Sends what was not sent yet, for a while.
    pub(super) async fn end(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("not every trace was sent");
        }
    }
}
