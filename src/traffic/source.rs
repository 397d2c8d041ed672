//! Where packet counters come from: one host's engine.
use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::window::Packets;
use crate::coordinator::outcome::Problem;
use crate::model::id::HostName;

/// For one host's counters.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the counters of one host, each time it is called.
pub struct PacketSource {
    host: HostName,
    read: Box<dyn Fn() -> BoxFuture<'static, Result<Packets, Problem>> + Send + Sync>,
}

impl PacketSource {
    /// A problem that is not transient says that this host cannot be measured at all.
    pub fn new<F, R>(host: HostName, read: F) -> PacketSource
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Packets, Problem>> + Send + 'static,
    {
        PacketSource {
            host,
            read: Box::new(move || Box::pin(read())),
        }
    }

    /// The counters as they are now; a host that does not tell them in time is a problem.
    pub(super) async fn read(&self) -> Result<Packets, Problem> {
        match timeout(READ_TIMEOUT, (self.read)()).await {
            Ok(read) => read,
            Err(_) => Err(Problem {
                what: format!("{}: no packet counters within {READ_TIMEOUT:?}", self.host),
                cure: format!("check the engine of {}", self.host),
                is_transient: true,
            }),
        }
    }
}

impl fmt::Debug for PacketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packets of {}", self.host)
    }
}
