//! What of the host appears in a container.
use std::collections::BTreeMap;

use bollard::models::{
    Mount as WireMount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation,
    MountType, MountVolumeOptions,
};

use crate::model::service::{ContainerSpec, Mount, MountSource};

/// Host paths that are to be made where they are missing: only the old form of binds does that.
pub(super) fn bind(mount: &Mount) -> Option<String> {
    let MountSource::Bind {
        path,
        propagation,
        create_host_path,
        selinux,
    } = &mount.source
    else {
        return None;
    };
    // Neither is known to the new form.
    if !create_host_path && selinux.is_none() {
        return None;
    }
    let mode = if mount.is_read_only { "ro" } else { "rw" };
    let options = propagation.iter().chain(selinux);
    let options = options.map(|option| format!(",{option}"));
    Some(format!(
        "{path}:{}:{mode}{}",
        mount.target,
        options.collect::<String>()
    ))
}

pub(super) fn mount(mount: &Mount, volumes: &BTreeMap<String, String>) -> Option<WireMount> {
    let base = WireMount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.is_read_only),
        ..WireMount::default()
    };
    match &mount.source {
        MountSource::Bind { .. } if bind(mount).is_some() => None,
        MountSource::Bind {
            path, propagation, ..
        } => Some(WireMount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            bind_options: propagation.as_deref().map(|mode| MountBindOptions {
                propagation: mode.parse::<Propagation>().ok(),
                ..MountBindOptions::default()
            }),
            ..base
        }),
        MountSource::Volume {
            key,
            nocopy,
            subpath,
        } => Some(WireMount {
            typ: Some(MountType::VOLUME),
            source: volumes.get(key).cloned(),
            volume_options: (*nocopy || subpath.is_some()).then(|| MountVolumeOptions {
                no_copy: Some(*nocopy),
                subpath: subpath.clone(),
                ..MountVolumeOptions::default()
            }),
            ..base
        }),
        MountSource::Anonymous => Some(WireMount {
            typ: Some(MountType::VOLUME),
            ..base
        }),
    }
}

pub(super) fn tmpfs(spec: &ContainerSpec) -> BTreeMap<String, String> {
    let one = |tmpfs: &crate::model::service::Tmpfs| (tmpfs.target.clone(), tmpfs.options.clone());
    spec.tmpfs.iter().map(one).collect()
}
