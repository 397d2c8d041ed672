//! Requests to the outside. Each is safe to repeat, is carried out once a sending, and is answered
//! by one [`Outcome`](super::outcome::Outcome) that carries its token back.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::model::hook::{Hook, Occasion};
use crate::model::id::{
    ContainerId, Epoch, HostName, Nonce, ProjectName, RotationId, ServiceName, SiteName, Token,
};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::playbook::{Anonymous, Before, Quiet, Volumes};
use crate::model::rrset::{RrKey, ZoneChange};
use crate::model::time::Mono;

/// A request and the token its outcome carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    pub token: Token,
    pub request: Request,
}

/// What is asked of the outside. A request that ends only when something holds (`Await…`,
/// `Sleep`, `Watch`) is called off when the machine awaits its token no longer.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Reads every RRset and marker of the fleet, with TTLs, on the primary, over TCP.
    ReadPrimary,
    /// Sends one UPDATE to the primary, once.
    Update(Arc<ZoneChange>),
    /// Asks every authoritative server once. Silence of those in `without` is no answer.
    AskServers { without: BTreeSet<SocketAddr> },
    /// Asks every authoritative server until all have followed, or until `within` has passed.
    AwaitServers { follow: Follow, within: Duration },
    /// Asks the registries for the digest of each image.
    ResolveImages { images: BTreeSet<ImageRef> },
    /// One request to the engine of one host.
    Engine {
        site: SiteName,
        host: HostName,
        request: EngineRequest,
    },
    /// Probes the site's own addresses, but those left out.
    Probe {
        site: SiteName,
        manner: ProbeManner,
        without: BTreeSet<IpAddr>,
    },
    /// Measures the site's traffic for as long as it is awaited: it has no outcome of its own.
    Measure { site: SiteName },
    /// Ends when the site's traffic was found quiet.
    AwaitQuiet { site: SiteName, quiet: Quiet },
    /// Says at once whether the site's traffic is quiet, and how much of it is left.
    JudgeTraffic { site: SiteName, quiet: Quiet },
    /// Ends when the site has traffic again.
    AwaitTraffic { site: SiteName },
    /// Runs the playbook's command at the coordinator.
    RunBefore { site: SiteName, before: Before },
    /// Calls a hook, and hears what it says.
    CallHook(Box<HookCall>),
    /// Ends at that time.
    Sleep { until: Mono },
}

/// A hook of a gate, and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct HookCall {
    pub hook: Hook,
    pub occasion: Occasion,
}

/// What a name server must show to have followed: a marker at least as new, and then these RRsets.
/// Lacking an address alone proves nothing: a chain of secondaries can be two versions behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    pub epoch: Epoch,
    pub seq: u64,
    pub present: BTreeMap<RrKey, BTreeSet<IpAddr>>,
    pub absent: BTreeMap<RrKey, BTreeSet<IpAddr>>,
    /// Servers left out by name: their silence is no matter, an old answer of theirs is.
    pub without: BTreeSet<SocketAddr>,
}

/// How a site is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeManner {
    /// The floor's look: one try of every probe at every address, and one more after 1 s.
    Look,
    /// Until every probe passed `passes` times in a row at every address, or its `within` passed; and
    /// then for so long that none fails twice in a row.
    Verify { lasts: Duration },
    /// Again and again; ends only when a probe fails twice in a row (5 s apart at most).
    Watch,
}

/// What is asked of one engine. Names and specs come from the fleet, by site and host.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineRequest {
    /// Lists the containers of the host's projects and the highest epoch label of the fleet.
    TakeInventory,
    /// Pulls what is not there yet, by digest.
    Pull { pins: Pins },
    /// Creates, under temporary names, the containers of every service that is not kept; checks
    /// that no port, name, network or mount they need is held by anything but `leaving`. On a
    /// problem nothing of this request stays behind.
    Prepare(Box<Preparation>),
    /// Removes containers that were created and never started.
    Discard { containers: Vec<ContainerId> },
    /// `docker diff`, restarts, OOM kills and the last logs of these containers; of `kept` all but
    /// the logs.
    TakeEvidence {
        containers: Vec<ContainerId>,
        kept: Vec<ContainerId>,
        logs: u64,
    },
    /// Stops these containers gracefully, in reverse `depends_on` order, and removes them by id.
    /// Those already gone count as removed. Their volumes without a name go with them where that
    /// was said, where an earlier visit of ours made them, or where they are empty.
    Clear {
        containers: Vec<ContainerId>,
        volumes: Volumes,
        anonymous: Anonymous,
    },
    /// Gives these containers their names and starts them in `depends_on` order, waiting for
    /// health; one-shot services that others wait for must exit 0.
    Start { containers: Vec<Made> },
    /// Ends only when one of these containers restarts, exits or turns unhealthy.
    Watch { containers: Vec<ContainerId> },
    /// Removes images of these projects' repositories that no container uses and that are not
    /// kept.
    Prune { keep: BTreeSet<Digest> },
}

/// Which containers are to be made, and on whose behalf.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    pub rotation: RotationId,
    pub epoch: Epoch,
    /// The nonce of the marker that began this hold.
    pub hold: Nonce,
    pub pins: Pins,
    pub anonymous: Anonymous,
    pub volumes: Volumes,
    /// Containers that the visit will remove; what they hold is free for the new ones.
    pub leaving: BTreeSet<ContainerId>,
}

/// A container made under a temporary name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Made {
    pub id: ContainerId,
    pub project: ProjectName,
    pub service: ServiceName,
    pub number: u32,
    /// The name it takes when it starts.
    pub name: String,
}
