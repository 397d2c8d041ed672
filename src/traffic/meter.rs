//! The meter of one site, as its users hold it.
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::sampler::{Ask, Sampler, since};
use super::source::PacketSource;
use crate::coordinator::outcome::TrafficOutcome;
use crate::model::id::SiteName;
use crate::model::playbook::Quiet;

/// Measures one site for as long as it lives. Unknown is never quiet: a host that cannot be read
/// makes the whole site unknown.
#[derive(Debug)]
pub struct Meter(Kind);

#[derive(Debug)]
enum Kind {
    Unmeasured { why: String },
    Measuring(Measuring),
}

#[derive(Debug)]
struct Measuring {
    started: Instant,
    asks: mpsc::UnboundedSender<Ask>,
    rate: watch::Receiver<Option<f64>>,
    sampling: JoinHandle<()>,
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}

impl Meter {
    /// Starts to sample all hosts side by side, every second. Needs a tokio runtime.
    pub fn start(site: &SiteName, hosts: Vec<PacketSource>) -> Meter {
        if hosts.is_empty() {
            return Meter::unmeasured(format!("{site} has no host to measure"));
        }
        let started = Instant::now();
        let (asks, asked) = mpsc::unbounded_channel();
        let (show, rate) = watch::channel(None);
        let sampler = Sampler::new(site.clone(), hosts, started, show);
        Meter(Kind::Measuring(Measuring {
            started,
            asks,
            rate,
            sampling: tokio::spawn(sampler.run(asked)),
        }))
    }

    /// The meter of a fleet without one: every answer is [`TrafficOutcome::Unknown`].
    pub fn unmeasured(why: impl Into<String>) -> Meter {
        Meter(Kind::Unmeasured { why: why.into() })
    }

    /// To be called when the site is withdrawn: the minute up to now is what quiet and back are
    /// measured by. Where this was not called, or too little of that minute is known, only
    /// [`Quiet::below`] counts.
    pub fn mark_withdrawal(&self) {
        match &self.0 {
            Kind::Unmeasured { .. } => {}
            Kind::Measuring(measuring) => {
                let at = since(measuring.started);
                // A sampler that is gone is told by every await.
                drop(measuring.asks.send(Ask::MarkWithdrawal { at }));
            }
        }
    }

    /// Ends when traffic was quiet, with its rate, or cannot be told. What was measured before the
    /// call counts.
    pub async fn await_quiet(&self, quiet: Quiet) -> TrafficOutcome {
        self.ask(|answer| Ask::Quiet { quiet, answer }).await
    }

    /// Answers at once: quiet, unknown, or busy, with what is left of the traffic.
    pub async fn judge(&self, quiet: Quiet) -> TrafficOutcome {
        self.ask(|answer| Ask::Now { quiet, answer }).await
    }

    /// Ends when traffic was seen since the call: for 2 s, at least as many packets a second as
    /// the bound under which it last counted as quiet.
    ///
    /// Ends with *unknown* where traffic could not be told from its lack: at once where the site
    /// had less than that bound before its withdrawal; after a minute without traffic where
    /// nothing was measured before it.
    pub async fn await_traffic(&self) -> TrafficOutcome {
        self.ask(|answer| Ask::Traffic { answer }).await
    }

    /// Packets a second, the mean of the last 5 s; `None`: not known.
    pub fn rate(&self) -> Option<f64> {
        match &self.0 {
            Kind::Unmeasured { .. } => None,
            Kind::Measuring(measuring) => *measuring.rate.borrow(),
        }
    }

    async fn ask(
        &self,
        ask: impl FnOnce(oneshot::Sender<TrafficOutcome>) -> Ask,
    ) -> TrafficOutcome {
        let measuring = match &self.0 {
            Kind::Unmeasured { why } => return TrafficOutcome::Unknown { why: why.clone() },
            Kind::Measuring(measuring) => measuring,
        };
        let (sender, answer) = oneshot::channel();
        drop(measuring.asks.send(ask(sender)));
        answer.await.unwrap_or_else(|_| TrafficOutcome::Unknown {
            why: "the meter has ended".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::super::sampler::QUIET_UNLESS_TOLD;
    use super::super::window::Packets;
    use super::*;
    use crate::coordinator::outcome::Problem;

    #[tokio::test(start_paused = true)]
    async fn quiet_is_told_once_all_hosts_are() {
        let (one, two) = (Host::new("one", 500), Host::new("two", 0));
        let meter = Meter::start(&site(), vec![one.source(), two.source()]);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(meter.rate(), Some(500.0));
        one.set(4);
        let started = Instant::now();
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        assert_eq!(outcome, TrafficOutcome::Quiet { packets: 4.0 });
        let took = started.elapsed();
        assert!(
            took >= Duration::from_secs(9) && took <= Duration::from_secs(11),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_the_traffic_is_told_at_once() {
        let host = Host::new("one", 300);
        let meter = Meter::start(&site(), vec![host.source()]);
        sleep(Duration::from_millis(20_500)).await;
        let started = Instant::now();
        let busy = TrafficOutcome::Busy {
            packets: Some(300.0),
        };
        assert_eq!(meter.judge(QUIET_UNLESS_TOLD).await, busy);
        host.set(2);
        sleep(Duration::from_secs(20)).await;
        let quiet = TrafficOutcome::Quiet { packets: 2.0 };
        assert_eq!(meter.judge(QUIET_UNLESS_TOLD).await, quiet);
        host.set(NEVER_MEASURED);
        sleep(Duration::from_secs(1)).await;
        let outcome = meter.judge(QUIET_UNLESS_TOLD).await;
        assert!(
            matches!(outcome, TrafficOutcome::Unknown { .. }),
            "{outcome:?}"
        );
        assert_eq!(started.elapsed().as_secs(), 21, "no answer took time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_cannot_be_read_makes_the_site_unknown_never_quiet() {
        let (good, bad) = (Host::new("good", 0), Host::new("bad", FAILS));
        let meter = Meter::start(&site(), vec![good.source(), bad.source()]);
        let started = Instant::now();
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        let why = "fra cannot be measured: bad: no answer".to_owned();
        assert_eq!(outcome, TrafficOutcome::Unknown { why });
        assert_eq!(started.elapsed().as_secs(), 2, "the third sample in a row");
        assert_eq!(meter.rate(), None);

        bad.set(0);
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        assert!(
            matches!(outcome, TrafficOutcome::Unknown { .. }),
            "{outcome:?}"
        );
        sleep(Duration::from_secs(2)).await;
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        assert_eq!(outcome, TrafficOutcome::Quiet { packets: 0.0 });
    }

    #[tokio::test(start_paused = true)]
    async fn one_sample_that_fails_now_and_then_is_made_up_for() {
        let host = Host::new("one", 300);
        let meter = Meter::start(&site(), vec![host.source()]);
        for _ in 0..5 {
            sleep(Duration::from_millis(3_900)).await;
            host.set(FAILS);
            sleep(Duration::from_millis(1_000)).await;
            host.set(300);
        }
        sleep(Duration::from_secs(5)).await;
        let rate = meter.rate().unwrap();
        assert!((200.0..=300.0).contains(&rate), "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_silent_counts_as_failing() {
        let never = PacketSource::new("one".parse().unwrap(), std::future::pending);
        let meter = Meter::start(&site(), vec![never]);
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        let why = "fra cannot be measured: one: no packet counters within 5s".to_owned();
        assert_eq!(outcome, TrafficOutcome::Unknown { why });
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_cannot_be_measured_at_all_is_not_asked_three_times() {
        let host = Host::new("one", NEVER_MEASURED);
        let meter = Meter::start(&site(), vec![host.source()]);
        let started = Instant::now();
        let outcome = meter.await_quiet(QUIET_UNLESS_TOLD).await;
        assert!(
            matches!(outcome, TrafficOutcome::Unknown { .. }),
            "{outcome:?}"
        );
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fleet_without_a_meter_is_unknown_at_once() {
        let why = || "[traffic] is not in site.toml".to_owned();
        let meter = Meter::unmeasured(why());
        let unknown = TrafficOutcome::Unknown { why: why() };
        assert_eq!(meter.await_quiet(QUIET_UNLESS_TOLD).await, unknown);
        assert_eq!(meter.await_traffic().await, unknown);
        let nobody = Meter::start(&site(), Vec::new());
        let why = "fra has no host to measure".to_owned();
        assert_eq!(
            nobody.await_traffic().await,
            TrafficOutcome::Unknown { why }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn traffic_is_back_when_it_is_more_than_what_counted_as_quiet() {
        let host = Host::new("one", 1000);
        let meter = Meter::start(&site(), vec![host.source()]);
        sleep(Duration::from_secs(60)).await;
        meter.mark_withdrawal();
        host.set(40);
        meter.await_quiet(QUIET_UNLESS_TOLD).await;
        let asked = meter.await_traffic();
        tokio::pin!(asked);
        let waiting = timeout(Duration::from_secs(90), &mut asked).await;
        assert!(waiting.is_err(), "40 a second are not back: {waiting:?}");
        host.set(400);
        let started = Instant::now();
        let outcome = asked.await;
        assert!(
            matches!(outcome, TrafficOutcome::Back { packets } if packets >= 50.0),
            "{outcome:?}"
        );
        assert!(started.elapsed() <= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_hardly_had_traffic_cannot_miss_it() {
        let host = Host::new("one", 3);
        let meter = Meter::start(&site(), vec![host.source()]);
        sleep(Duration::from_secs(60)).await;
        meter.mark_withdrawal();
        let answering = timeout(Duration::from_secs(1), meter.await_traffic());
        let outcome = answering.await.unwrap();
        let TrafficOutcome::Unknown { why } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            why.starts_with("fra had 3.0 packets a second before"),
            "{why}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_baseline_traffic_is_looked_for_a_minute() {
        let host = Host::new("one", 3);
        let meter = Meter::start(&site(), vec![host.source()]);
        let started = Instant::now();
        let outcome = meter.await_traffic().await;
        assert!(
            matches!(outcome, TrafficOutcome::Unknown { .. }),
            "{outcome:?}"
        );
        assert_eq!(started.elapsed().as_secs(), 60);
        host.set(12);
        let outcome = meter.await_traffic().await;
        assert!(
            matches!(outcome, TrafficOutcome::Back { .. }),
            "{outcome:?}"
        );
    }

    const FAILS: u64 = u64::MAX;
    const NEVER_MEASURED: u64 = u64::MAX - 1;

    /// A host whose one container receives so many packets a second.
    #[derive(Clone)]
    struct Host {
        name: &'static str,
        rate: Arc<AtomicU64>,
        received: Arc<AtomicU64>,
    }

    impl Host {
        fn new(name: &'static str, rate: u64) -> Host {
            Host {
                name,
                rate: Arc::new(rate.into()),
                received: Arc::default(),
            }
        }

        fn set(&self, rate: u64) {
            self.rate.store(rate, Ordering::Relaxed);
        }

        /// Each reading is a second after the one before.
        fn source(&self) -> PacketSource {
            let host = self.clone();
            PacketSource::new(self.name.parse().unwrap(), move || {
                let read = host.read();
                async move { read }
            })
        }

        fn read(&self) -> Result<Packets, Problem> {
            let rate = self.rate.load(Ordering::Relaxed);
            if rate >= NEVER_MEASURED {
                return Err(Problem {
                    what: format!("{}: no answer", self.name),
                    cure: String::new(),
                    is_transient: rate == FAILS,
                });
            }
            let received = self.received.fetch_add(rate, Ordering::Relaxed) + rate;
            let containers = [(self.name.parse().unwrap(), (received, received / 2))];
            Ok(Packets {
                containers: containers.into(),
            })
        }
    }

    fn site() -> SiteName {
        "fra".parse().unwrap()
    }
}
