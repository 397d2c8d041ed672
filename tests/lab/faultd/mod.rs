//! Proxies of our own that spoil what passes: the kernel's packet filter knows no messages, and
//! this one has no `netem`. They stand between `cleanslate` and a server of the lab: the fleet's
//! files name the proxy's address in the server's place.

pub mod flow;
pub mod names;

use std::fs::File;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Lab;

pub use flow::{Flow, FlowProxy, Speaks};
pub use names::{Fault, Kind, NamesProxy};

/// Something on a host that is no container takes a port as soon as nobody else has it, and gives
/// it back when it is dropped.
pub struct Squatter(Stand);

impl Squatter {
    pub fn on(lab: &Lab, host: &str, port: u16) -> Result<Self> {
        let wanted: SocketAddr = (Ipv4Addr::UNSPECIFIED, port).into();
        let (stand, _) = Stand::serve(lab, host, move || async move {
            let squat = async move {
                loop {
                    if let Ok(_taken) = TcpListener::bind(wanted).await {
                        std::future::pending::<()>().await;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            Ok((wanted, squat))
        })?;
        Ok(Self(stand))
    }
}

/// A thread with the network of a machine, and what it serves; all of it ends with this.
struct Stand {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stand {
    /// Binds in a machine's network and serves there; returns the address that was bound.
    fn serve<B, F, S>(lab: &Lab, machine: &str, bind: B) -> Result<(Self, SocketAddr)>
    where
        B: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<(SocketAddr, S)>>,
        S: Future<Output = ()>,
    {
        let namespace = File::open(lab.net.path(machine))
            .with_context(|| format!("the lab has no {machine}"))?;
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let serve = move || -> Result<()> {
            // A network belongs to the thread: the rest of this process stays where it is.
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .context("failed to enter the machine's network")?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (address, serving) = bind().await?;
                tell.send(Ok(address))?;
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
                Ok(())
            })
        };
        let thread = std::thread::Builder::new()
            .name("faultd".to_owned())
            .spawn(move || {
                if let Err(error) = serve() {
                    eprintln!("faultd: {error:#}");
                }
            })
            .context("failed to start a thread")?;
        let address = told
            .recv()
            .map_err(|_| anyhow!("a proxy could not begin"))?;
        let stand = Self {
            end: Some(end),
            thread: Some(thread),
        };
        address.map(|address| (stand, address))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("faultd: its thread panicked");
        }
    }
}
