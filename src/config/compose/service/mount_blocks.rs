//! The `bind`, `volume` and `tmpfs` of a mount's long form.
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::not_carried;
use crate::config::compose::text::quantity;
use crate::model::service::MountSource;

/// How far mounts made later are seen on the other side.
pub(crate) const PROPAGATIONS: [&str; 6] = [
    "rprivate", "private", "rshared", "shared", "rslave", "slave",
];

/// What stands at the target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongKind {
    Bind,
    Volume,
    Tmpfs,
}

pub(crate) const LONG_KINDS: [(&str, LongKind); 3] = [
    ("volume", LongKind::Volume),
    ("bind", LongKind::Bind),
    ("tmpfs", LongKind::Tmpfs),
];

impl LongKind {
    pub(crate) fn cure(self) -> &'static str {
        match self {
            LongKind::Bind => "it goes with `type: bind`",
            LongKind::Volume => "it goes with `type: volume`",
            LongKind::Tmpfs => "it goes with `type: tmpfs`",
        }
    }
}

pub(crate) fn read_bind(
    reader: &mut Reader<'_>,
    block: Option<Value<'_>>,
    path: String,
) -> MountSource {
    let mut propagation = None;
    let mut create_host_path = true;
    let mut selinux = None;
    if let Some(block) = block {
        let mut fields = reader.fields(block);
        let words = PROPAGATIONS.map(|name| (name, name));
        propagation = fields
            .take_given("propagation")
            .and_then(|value| reader.word(value, &words))
            .map(str::to_owned);
        if let Some(flag) = fields.take_given("create_host_path") {
            create_host_path = reader.flag(flag).unwrap_or_default();
        }
        selinux = fields
            .take_given("selinux")
            .and_then(|value| reader.word(value, &[("z", "z"), ("Z", "Z")]))
            .map(str::to_owned);
        fields.finish(reader, not_carried::BIND);
    }
    MountSource::Bind {
        path,
        propagation,
        create_host_path,
        selinux,
    }
}

pub(crate) fn read_volume(
    reader: &mut Reader<'_>,
    block: Option<Value<'_>>,
    key: Option<String>,
) -> Option<MountSource> {
    let mut nocopy = false;
    let mut subpath = None;
    if let Some(block) = block {
        let mut fields = reader.fields(block);
        if let Some(flag) = fields.take_given("nocopy") {
            nocopy = reader.flag(flag).unwrap_or_default();
        }
        subpath = fields.text(reader, "subpath");
        fields.finish(reader, not_carried::VOLUME_MOUNT);
    }
    match (key, block) {
        (Some(key), _) => Some(MountSource::Volume {
            key,
            nocopy,
            subpath,
        }),
        (None, Some(block)) if nocopy || subpath.is_some() => {
            let message = "\"nocopy\" and \"subpath\" need a named volume";
            reader.error(&block.node.span, message);
            None
        }
        (None, _) => Some(MountSource::Anonymous),
    }
}

/// The options as the engine's `tmpfs` takes them.
pub(crate) fn read_tmpfs_options(
    reader: &mut Reader<'_>,
    block: Option<Value<'_>>,
    is_read_only: bool,
) -> String {
    let mut options = Vec::new();
    if is_read_only {
        options.push("ro".to_owned());
    }
    if let Some(block) = block {
        let mut fields = reader.fields(block);
        let size = fields.parsed(reader, "size", quantity::BYTES, quantity::bytes);
        let mode = fields.parsed(reader, "mode", quantity::MODE, quantity::mode);
        fields.finish(reader, &[]);
        options.extend(size.map(|size| format!("size={size}")));
        options.extend(mode.map(|mode| format!("mode={mode:o}")));
    }
    options.join(",")
}
