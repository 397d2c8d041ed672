//! A user's resolver: asks the authoritative servers itself and keeps what it got for its TTL,
//! which is obeyed to the millisecond, neither shortened nor stretched.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ask;

/// A lookup goes to the next server after this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The resolver of one user, for one name and type.
pub struct Resolver {
    name: Name,
    record_type: RecordType,
    servers: Vec<IpAddr>,
    /// Held while a lookup is under way, so that a user asks once, as a stub resolver does.
    cache: Mutex<Option<Cached>>,
}

/// Addresses, when they were received, and for how long they may be used.
#[derive(Clone, Debug)]
pub struct Cached {
    pub addresses: Vec<IpAddr>,
    pub received: Instant,
    pub ttl: Duration,
}

impl Resolver {
    pub fn new(name: &Name, record_type: RecordType, servers: &[IpAddr]) -> Self {
        Self {
            name: name.clone(),
            record_type,
            servers: servers.to_vec(),
            cache: Mutex::new(None),
        }
    }

    /// From the cache, else from a server picked at random, else from the others; `None` when
    /// no server has an address.
    pub async fn resolve(&self) -> Option<Cached> {
        let mut cache = self.cache.lock().await;
        let fresh = |cached: &&Cached| cached.received.elapsed() < cached.ttl;
        if let Some(cached) = cache.as_ref().filter(fresh) {
            return Some(cached.clone());
        }
        let first = random(self.servers.len());
        for i in 0..self.servers.len() {
            let server = self.servers[(first + i) % self.servers.len()];
            if let Ok(Ok(found)) = timeout(PATIENCE, self.lookup(server)).await
                && !found.addresses.is_empty()
            {
                *cache = Some(found.clone());
                return Some(found);
            }
        }
        None
    }

    async fn lookup(&self, server: IpAddr) -> Result<Cached> {
        let socket = UdpSocket::bind("0.0.0.0:0")
            .await
            .context("failed to open a socket")?;
        socket
            .connect((server, 53))
            .await
            .context("no way to the server")?;
        let (id, wire) = ask::question(&self.name, self.record_type)?;
        socket.send(&wire).await.context("failed to ask")?;
        let mut buffer = [0u8; 4096];
        let length = socket.recv(&mut buffer).await.context("no answer")?;
        let received = Instant::now();
        let (addresses, ttl) = ask::addresses(&ask::parse(id, &buffer[..length])?);
        let ttl = Duration::from_secs(u64::from(ttl.unwrap_or(0)));
        Ok(Cached {
            addresses,
            received,
            ttl,
        })
    }
}

/// Below `count`, from the kernel: users need not be the same twice.
pub fn random(count: usize) -> usize {
    let number = getrandom::u32().unwrap_or(0);
    usize::try_from(number).unwrap_or(0) % count.max(1)
}
