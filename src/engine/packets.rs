//! The packets that the published containers of a host have received and sent.
use std::collections::BTreeMap;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::adapter::HostContext;
use super::client::{ASK, Client};
use super::fault::Fault;
use super::survey::{Listed, Stage};
use crate::coordinator::outcome::Problem;
use crate::model::id::ContainerId;

/// Packets received and sent since each container's start, by container: one that was started
/// anew counts from zero, so whoever measures looks at them one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    pub containers: BTreeMap<ContainerId, (u64, u64)>,
}

/// Reads the counters once. `Err`: unknown.
pub(super) async fn read(context: &HostContext, client: &Client) -> Result<Packets, Problem> {
    let problem = |fault: Fault| client.problem("count packets", &fault);
    let listed = client.survey().await.map_err(problem)?;
    let running: Vec<Listed> = listed
        .into_iter()
        .filter(|container| container.stage == Stage::Running)
        .filter(|container| context.project(container.project()).is_some())
        .collect();
    // The engine counts nothing for these, and which ports they serve it cannot know.
    if let Some(hosted) = running
        .iter()
        .find(|container| container.network_mode == "host")
    {
        return Err(Problem {
            what: format!(
                "{}: {} is on the host's network, where the engine counts no packets",
                client.host,
                hosted.describe()
            ),
            cure: "publish its ports instead, or wait at_most".to_owned(),
            is_transient: false,
        });
    }
    let published = running
        .iter()
        .filter(|container| !container.ports.is_empty());
    let reads = published.map(|container| async {
        let counters = counters(client, &container.id).await;
        counters.map(|counters| counters.map(|counters| (container.id.clone(), counters)))
    });
    let mut packets = Packets::default();
    for read in join_all(reads).await {
        packets.containers.extend(read.map_err(problem)?);
    }
    Ok(packets)
}

/// `None`: it has ended since it was listed.
async fn counters(client: &Client, id: &ContainerId) -> Result<Option<(u64, u64)>, Fault> {
    let options = StatsOptionsBuilder::default()
        .stream(false)
        .one_shot(true)
        .build();
    let mut answers = Box::pin(client.docker.stats(id.as_str(), Some(options)));
    let answer = client.ask(ASK, async { answers.next().await.transpose() });
    match answer.await {
        Ok(answer) => Ok(answer.as_ref().and_then(sum)),
        Err(fault) if fault.is_gone() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Over all interfaces; `None` where the container has none: it has ended.
fn sum(stats: &ContainerStatsResponse) -> Option<(u64, u64)> {
    let networks = stats.networks.as_ref()?.values();
    let add = |(received, sent): (u64, u64), one: &bollard::models::ContainerNetworkStats| {
        let more = |sum: u64, count: Option<u64>| sum.saturating_add(count.unwrap_or(0));
        (more(received, one.rx_packets), more(sent, one.tx_packets))
    };
    Some(networks.fold((0, 0), add))
}
