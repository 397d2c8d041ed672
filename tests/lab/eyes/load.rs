//! The load: users with resolver caches of their own, in an open loop. `lab users` runs it.
//!
//! Requests start when they are due, whatever became of the earlier ones: a site that answers
//! slowly is not spared. Nothing is tried twice, except what every browser tries twice.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::request::{self, Page, Reason};
use super::resolver::{Cached, Resolver, random};
use super::tally::{Lost, Tally};

/// What `lab users` is told on its command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The authoritative servers; each lookup picks one at random
    #[arg(long, value_delimiter = ',', required = true)]
    pub servers: Vec<IpAddr>,
    #[arg(long)]
    pub record: String,
    /// Requests a second, of all users together
    #[arg(long)]
    pub rate: u32,
    #[arg(long)]
    pub users: usize,
    /// How many of the users keep their connections
    #[arg(long, default_value_t = 0)]
    pub keep_alive: usize,
    /// How many of the users ask for AAAA
    #[arg(long, default_value_t = 0)]
    pub ipv6: usize,
    #[arg(long, default_value = "/")]
    pub path: String,
    /// What every page begins with
    #[arg(long, default_value = "version=")]
    pub expect: String,
}

/// A request is lost after this long, its lookup not counted.
const PATIENCE: Duration = Duration::from_secs(3);
/// A kept connection is given up after this long, as browsers and proxies do.
const KEEP_FOR: Duration = Duration::from_secs(10);

struct Population {
    args: Args,
    host: String,
    users: Vec<User>,
    tally: RefCell<Tally>,
    started: Instant,
}

struct User {
    resolver: Resolver,
    keeps: bool,
    kept: RefCell<Option<Kept>>,
}

struct Kept {
    stream: TcpStream,
    address: IpAddr,
    since: Instant,
}

/// Makes requests until SIGTERM or SIGINT, printing counters every second and a report last.
pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, drive(args.clone()))
}

async fn drive(args: Args) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen to SIGINT")?;
    let population = Rc::new(Population::new(args)?);
    let shown = tokio::task::spawn_local(show(Rc::clone(&population)));
    tokio::select! {
        () = send(Rc::clone(&population)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let deadline = Instant::now() + PATIENCE + Duration::from_secs(1);
    while population.tally.borrow().open() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shown.abort();
    population
        .tally
        .borrow()
        .print_report(population.started.elapsed())
}

/// The open loop: request *n* starts *n* / rate seconds after the first.
async fn send(population: Rc<Population>) {
    let interval = Duration::from_secs(1) / population.args.rate.max(1);
    let start = Instant::now();
    for n in 0u32.. {
        let due = start + interval * n;
        if due > Instant::now() {
            sleep_until(due).await;
        }
        population.tally.borrow_mut().sent += 1;
        tokio::task::spawn_local(Rc::clone(&population).one(due));
    }
}

async fn show(population: Rc<Population>) -> Result<()> {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        population.tally.borrow().print_live()?;
    }
}

impl Population {
    fn new(args: Args) -> Result<Self> {
        let name: Name = args.record.parse().context("the record is no name")?;
        let user = |i: usize| {
            let record_type = if i < args.ipv6 {
                RecordType::AAAA
            } else {
                RecordType::A
            };
            User {
                resolver: Resolver::new(&name, record_type, &args.servers),
                // Counted from the other end, so that a few keepers are not all on IPv6.
                keeps: args.users - i <= args.keep_alive,
                kept: RefCell::default(),
            }
        };
        Ok(Self {
            host: args.record.trim_end_matches('.').to_owned(),
            users: (0..args.users).map(user).collect(),
            tally: RefCell::default(),
            started: Instant::now(),
            args,
        })
    }

    /// One request of a random user, counted whatever happens.
    async fn one(self: Rc<Self>, due: Instant) {
        let user = &self.users[random(self.users.len())];
        let cached = user.resolver.resolve().await;
        let (address, outcome) = match &cached {
            None => (None, Err(Reason::Dns)),
            Some(cached) => {
                let address = cached.addresses[random(cached.addresses.len())];
                let within = timeout(PATIENCE, self.fetch(user, address)).await;
                let (address, outcome) = within.unwrap_or((address, Err(Reason::Timeout)));
                (Some(address), outcome)
            }
        };
        let mut tally = self.tally.borrow_mut();
        match outcome.and_then(|page| self.judge(page)) {
            Ok(page) => tally.answered(address, &page.body, due.elapsed()),
            Err(reason) => tally.lost.push(self.lost(reason, address, cached.as_ref())),
        }
    }

    fn lost(&self, reason: Reason, address: Option<IpAddr>, cached: Option<&Cached>) -> Lost {
        Lost {
            at: jiff::Timestamp::now().to_string(),
            after_ms: millis(self.started.elapsed()),
            reason,
            address,
            cached_for_ms: cached.map_or(0, |cached| millis(cached.received.elapsed())),
            ttl_ms: cached.map_or(0, |cached| millis(cached.ttl)),
        }
    }

    fn judge(&self, page: Page) -> Result<Page, Reason> {
        match page.status {
            200 if page.body.starts_with(&self.args.expect) => Ok(page),
            200 => Err(Reason::Body),
            status => Err(Reason::Status(status)),
        }
    }

    /// Over the user's kept connection where there is one, else over a new one to `address`.
    /// Also says which address it was in the end.
    async fn fetch(&self, user: &User, address: IpAddr) -> (IpAddr, Result<Page, Reason>) {
        let get = |mut kept: Kept| async {
            let got = request::get(&mut kept.stream, &self.host, &self.args.path, user.keeps).await;
            (kept, got)
        };
        let kept = user.kept.borrow_mut().take();
        if let Some(kept) = kept.filter(|kept| kept.since.elapsed() < KEEP_FOR) {
            let (kept, got) = get(kept).await;
            match got {
                Ok(page) => return (kept.address, Ok(user.keep(kept, page))),
                Err(failure) if failure.answered => return (kept.address, Err(failure.reason)),
                Err(_) => self.tally.borrow_mut().reopened += 1,
            }
        }
        let stream = match request::connect(address, 80).await {
            Ok(stream) => stream,
            Err(reason) => return (address, Err(reason)),
        };
        let (kept, got) = get(Kept {
            stream,
            address,
            since: Instant::now(),
        })
        .await;
        let page = got
            .map(|page| user.keep(kept, page))
            .map_err(|failure| failure.reason);
        (address, page)
    }
}

impl User {
    fn keep(&self, kept: Kept, page: Page) -> Page {
        if self.keeps && page.keeps {
            *self.kept.borrow_mut() = Some(kept);
        }
        page
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
