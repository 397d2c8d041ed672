//! What differs on purpose, with its reason. `docs/compose.md` tells each of them.
use serde_json::Value;

use super::compare::Difference;

/// A difference that is none of ours to mend.
pub(super) struct Known {
    /// As the page says it.
    pub(super) reason: &'static str,
    is_it: fn(&Difference) -> bool,
}

impl Known {
    pub(super) fn explains(&self, difference: &Difference) -> bool {
        (self.is_it)(difference)
    }
}

const fn known(reason: &'static str, is_it: fn(&Difference) -> bool) -> Known {
    Known { reason, is_it }
}

pub(super) const KNOWN: &[Known] = &[
    known(
        "Containers are called `PROJECT-SERVICE-N`, as by Docker Compose 2; docker-compose 1 writes `PROJECT_SERVICE_N`.",
        |found| found.path == "Name" && text(&found.theirs).replace('_', "-") == text(&found.ours),
    ),
    known(
        "The labels `cleanslate.*` say who made a thing, and from what.",
        |found| found.path.contains("Labels/cleanslate.") && found.theirs.is_null(),
    ),
    known(
        "Compose's own labels are those of Docker Compose 2.29; docker-compose 1 knows fewer of them, and labels networks and volumes with their names instead of their keys.",
        |found| {
            let labels = ["version", "image", "depends_on", "volume", "network"];
            let is_one = |label: &&str| {
                found
                    .path
                    .ends_with(&format!("Labels/com.docker.compose.{label}"))
            };
            labels.iter().any(is_one) && !found.ours.is_null()
        },
    ),
    known(
        "Images are named by the digest that was pinned when the rotation was planned, not by a tag.",
        |found| found.path == "Config/Image" && text(&found.ours).contains("@sha256:"),
    ),
    known(
        "Networks are given to the engine by id: their names are not unique.",
        |found| found.path == "HostConfig/NetworkMode" && text(&found.ours) == "ID",
    ),
    known(
        "A container is known on its networks by its own name, too: while it is made it carries another one. On a second network the engine adds its id.",
        |found| {
            let ours = texts(&found.ours);
            let own = |name: &&String| {
                !name.starts_with("PROJECT-") && !name.starts_with("cscorpus-") && *name != "SHORT"
            };
            let others: Vec<&String> = ours.iter().filter(own).collect();
            let theirs = texts(&found.theirs);
            found.path.starts_with("Networks/")
                && found.path.ends_with("/Aliases")
                && others.len() < ours.len()
                && (theirs.iter().collect::<Vec<_>>() == others || theirs.is_empty())
        },
    ),
    known(
        "A container without `restart` has the policy `no`; docker-compose 1 leaves it empty, which means the same.",
        |found| {
            found.path == "HostConfig/RestartPolicy/Name"
                && found.theirs.is_null()
                && text(&found.ours) == "no"
        },
    ),
    known(
        "A network without a subnet gets the engine's next free one.",
        |found| found.path == "IPAM/Config" && !text_of(&found.ours).contains("10.213."),
    ),
    known(
        "`attachable` is of Swarm: docker-compose 1 sets it for networks that say nothing about it.",
        |found| found.path == "Attachable" && found.ours.is_null(),
    ),
    known(
        "Named volumes are mounts in the engine's newer form, which never takes a missing one for a folder; what appears in the container is the same.",
        |found| {
            ["HostConfig/Binds", "HostConfig/Mounts"].contains(&found.path.as_str())
                && volumes_of(&found.theirs)
                    .chain(volumes_of(&found.ours))
                    .all(|volume| !volume.starts_with('/'))
        },
    ),
    known(
        "A bind mount in the long form makes the host's folder where there is none, as the specification has it; docker-compose 1 refuses to start.",
        |found| {
            ["HostConfig/Binds", "HostConfig/Mounts"].contains(&found.path.as_str())
                && volumes_of(&found.theirs)
                    .chain(volumes_of(&found.ours))
                    .all(|volume| volume.starts_with('/'))
        },
    ),
    known(
        "How a mount was asked for (`Mode`) is told in other words; where it comes from, where it appears and whether it can be written is the same.",
        |found| found.path == "Mounts" && mounts(&found.theirs) == mounts(&found.ours),
    ),
    known(
        "A tmpfs of the long form is made as one of the short form is.",
        |found| {
            found.path.starts_with("HostConfig/Tmpfs/") && found.theirs.is_null()
                || ["HostConfig/Mounts", "Mounts"].contains(&found.path.as_str())
                    && found.ours.is_null()
                    && text_of(&found.theirs).contains("\"Type\":\"tmpfs\"")
        },
    ),
    known(
        "docker-compose 1 does not know `service:NAME` for `pid` and `ipc`; Docker Compose 2 does.",
        |found| {
            ["HostConfig/PidMode", "HostConfig/IpcMode"].contains(&found.path.as_str())
                && text(&found.ours) == "container:ID"
        },
    ),
    known(
        "docker-compose 1 joins `network_mode: service:NAME` when it starts the container, not when it makes it.",
        |found| found.path == "HostConfig/NetworkMode" && text(&found.ours) == "container:ID",
    ),
    known(
        "docker-compose 1 tells links when it starts the container, not when it makes it.",
        |found| found.path.ends_with("/Links") && found.theirs.is_null(),
    ),
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text_of(value: &Value) -> String {
    value.to_string()
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| text(item).to_owned()).collect()
}

/// The sources of binds and mounts.
fn volumes_of(value: &Value) -> impl Iterator<Item = String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| match item.as_str() {
        Some(bind) => bind.split(':').next().unwrap_or_default().to_owned(),
        None => text(&item["Source"]).to_owned(),
    })
}

/// What each mount is, without how it was asked for.
fn mounts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    let mut mounts: Vec<String> = items
        .map(|mount| {
            let fields = [
                "Type",
                "Name",
                "Source",
                "Destination",
                "Propagation",
                "Driver",
                "RW",
            ];
            let fields = fields.map(|field| mount[field].to_string());
            fields.join(" ")
        })
        .collect();
    mounts.sort();
    mounts
}
