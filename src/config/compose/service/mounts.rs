//! `volumes` and `tmpfs` of a service.
use std::collections::BTreeSet;

use super::mount_blocks::{
    LONG_KINDS, LongKind, PROPAGATIONS, read_bind, read_tmpfs_options, read_volume,
};
use super::paths::{absolute, clean, is_path};
use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::not_carried;
use crate::model::service::{Mount, MountSource, Tmpfs};

/// How soon Docker Desktop shows the host's changes.
const CONSISTENCIES: [&str; 4] = ["cached", "delegated", "consistent", "default"];

/// What appears in the containers of one service; no two things at one place.
pub(crate) struct Mounts<'s> {
    /// The service's key, for hints.
    service: &'s str,
    /// The keys of the file's volumes.
    declared: &'s [&'s str],
    pub(crate) mounts: Vec<Mount>,
    pub(crate) tmpfs: Vec<Tmpfs>,
    targets: BTreeSet<String>,
}

impl<'s> Mounts<'s> {
    pub(crate) fn new(service: &'s str, declared: &'s [&'s str]) -> Mounts<'s> {
        let (mounts, tmpfs) = (Vec::new(), Vec::new());
        Mounts {
            service,
            declared,
            mounts,
            tmpfs,
            targets: BTreeSet::new(),
        }
    }

    /// `volumes`.
    pub(crate) fn read_volumes(&mut self, reader: &mut Reader<'_>, value: Value<'_>) {
        for item in reader.list(value) {
            match item.node.kind {
                Kind::Map(_) => self.read_long(reader, item),
                Kind::Null | Kind::Scalar(_) | Kind::List(_) => self.read_short(reader, item),
            }
        }
    }

    /// `tmpfs`: `PATH` or `PATH:OPTIONS`, one or a list.
    pub(crate) fn read_tmpfs(&mut self, reader: &mut Reader<'_>, value: Value<'_>) {
        for item in reader.one_or_more(value) {
            let Some(text) = reader.text(item) else {
                continue;
            };
            let (path, options) = text.split_once(':').unwrap_or((&text, ""));
            if let Some(target) = self.claim(reader, item, path) {
                self.tmpfs.push(Tmpfs {
                    target,
                    options: options.to_owned(),
                });
            }
        }
    }

    /// The cleaned `target`, if it is an absolute path that nothing else claimed.
    pub(crate) fn claim(
        &mut self,
        reader: &mut Reader<'_>,
        item: Value<'_>,
        target: &str,
    ) -> Option<String> {
        let span = &item.node.span;
        let Some(target) = clean(target) else {
            let message = format!("{target:?} is no absolute path in the container");
            reader.error(span, message);
            return None;
        };
        if target == "/" {
            reader.error(span, "nothing can be mounted over the container's root");
            return None;
        }
        if !self.targets.insert(target.clone()) {
            reader.error(
                span,
                format!("something else is mounted at {target:?} already"),
            );
            return None;
        }
        Some(target)
    }

    fn read_short(&mut self, reader: &mut Reader<'_>, item: Value<'_>) {
        let Some(text) = reader.text(item) else {
            return;
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, options] => (Some(*source), *target, *options),
            _ => {
                let hint = "the form is [SOURCE:]TARGET[:OPTIONS]";
                let message = format!("{text:?} is no mount: too many \":\"");
                return reader.error_with_hint(&item.node.span, message, hint);
            }
        };
        let Some(options) = ShortOptions::read(reader, item, options) else {
            return;
        };
        let source = match source {
            None => MountSource::Anonymous,
            Some(path) if is_path(path) => {
                let Some(path) = absolute(reader, item, path, target, self.service) else {
                    return;
                };
                MountSource::Bind {
                    path,
                    propagation: options.propagation,
                    create_host_path: true,
                    selinux: options.selinux,
                }
            }
            Some(key) => {
                self.check_declared(reader, item, key);
                MountSource::Volume {
                    key: key.to_owned(),
                    nocopy: options.nocopy,
                    subpath: None,
                }
            }
        };
        self.add(reader, item, source, target, options.is_read_only);
    }

    fn add(
        &mut self,
        reader: &mut Reader<'_>,
        item: Value<'_>,
        source: MountSource,
        target: &str,
        is_read_only: bool,
    ) {
        if let Some(target) = self.claim(reader, item, target) {
            self.mounts.push(Mount {
                source,
                target,
                is_read_only,
            });
        }
    }

    fn read_long(&mut self, reader: &mut Reader<'_>, item: Value<'_>) {
        let mut fields = reader.fields(item);
        let kind = fields
            .take("type")
            .and_then(|value| reader.word(value, &LONG_KINDS));
        let source = fields.text(reader, "source");
        let target = fields.text(reader, "target");
        let is_read_only = fields.flag(reader, "read_only").unwrap_or_default();
        let bind = fields.take_given("bind");
        let volume = fields.take_given("volume");
        let tmpfs = fields.take_given("tmpfs");
        // Docker Desktop's: no engine on Linux has any use for it.
        if let Some(value) = fields.take_given("consistency") {
            reader.word(value, &CONSISTENCIES.map(|word| (word, ())));
        }
        fields.finish(reader, not_carried::MOUNT);
        let span = &item.node.span;
        let (Some(kind), Some(target)) = (kind, target) else {
            return reader.error(span, "a mount needs a \"type\" and a \"target\"");
        };
        let blocks = [
            (LongKind::Bind, bind),
            (LongKind::Volume, volume),
            (LongKind::Tmpfs, tmpfs),
        ];
        for (of, block) in blocks.into_iter().filter(|(of, _)| *of != kind) {
            if let Some(block) = block {
                let message = format!("{:?} does not go with this \"type\"", block.name);
                reader.error_with_hint(&block.node.span, message, of.cure());
            }
        }
        match (kind, source) {
            (LongKind::Bind, Some(path)) => {
                let Some(path) = absolute(reader, item, &path, &target, self.service) else {
                    return;
                };
                let source = read_bind(reader, bind, path);
                self.add(reader, item, source, &target, is_read_only);
            }
            (LongKind::Bind, None) => reader.error(span, "a bind mount needs a \"source\""),
            (LongKind::Volume, source) => {
                if let Some(key) = &source {
                    self.check_declared(reader, item, key);
                }
                if let Some(source) = read_volume(reader, volume, source) {
                    self.add(reader, item, source, &target, is_read_only);
                }
            }
            (LongKind::Tmpfs, Some(_)) => reader.error(span, "a tmpfs has no \"source\""),
            (LongKind::Tmpfs, None) => {
                let options = read_tmpfs_options(reader, tmpfs, is_read_only);
                if let Some(target) = self.claim(reader, item, &target) {
                    self.tmpfs.push(Tmpfs { target, options });
                }
            }
        }
    }

    fn check_declared(&self, reader: &mut Reader<'_>, item: Value<'_>, key: &str) {
        if !self.declared.contains(&key) {
            reader.unknown(
                &item.node.span,
                format!("the volume {key:?} is not declared"),
                key,
                self.declared.iter().copied(),
                &format!("declare it under the top-level `volumes`: `{key}: {{}}`"),
            );
        }
    }
}

struct ShortOptions {
    is_read_only: bool,
    nocopy: bool,
    propagation: Option<String>,
    selinux: Option<String>,
}

impl ShortOptions {
    fn read(reader: &mut Reader<'_>, item: Value<'_>, text: &str) -> Option<ShortOptions> {
        let mut read = ShortOptions {
            is_read_only: false,
            nocopy: false,
            propagation: None,
            selinux: None,
        };
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read.is_read_only = true,
                "rw" => read.is_read_only = false,
                "nocopy" => read.nocopy = true,
                "z" | "Z" => read.selinux = Some(option.to_owned()),
                _ if CONSISTENCIES.contains(&option) => (),
                _ if PROPAGATIONS.contains(&option) => read.propagation = Some(option.to_owned()),
                _ => {
                    let message = format!("the mount option {option:?} is not carried out here");
                    let hint = "there are ro, rw, nocopy, z, Z and the propagations";
                    reader.error_with_hint(&item.node.span, message, hint);
                    return None;
                }
            }
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::compose::fixture::{assert_same, errors, service};

    #[test]
    fn every_short_form_is_read() {
        let container = service(
            "volumes: [data:/var/lib/x/, \"data:/b:ro,nocopy\", /cache, /srv/../etc:/e:rshared, \
             \"/srv/${SITE}:/s:ro\"]\ntmpfs: [/run, \"/tmp:size=64m,mode=1777\"]",
        )
        .container;
        insta::assert_debug_snapshot!((container.mounts, container.tmpfs), @r#"
        (
            [
                Mount {
                    source: Volume {
                        key: "data",
                        nocopy: false,
                        subpath: None,
                    },
                    target: "/var/lib/x",
                    is_read_only: false,
                },
                Mount {
                    source: Volume {
                        key: "data",
                        nocopy: true,
                        subpath: None,
                    },
                    target: "/b",
                    is_read_only: true,
                },
                Mount {
                    source: Anonymous,
                    target: "/cache",
                    is_read_only: false,
                },
                Mount {
                    source: Bind {
                        path: "/etc",
                        propagation: Some(
                            "rshared",
                        ),
                        create_host_path: true,
                        selinux: None,
                    },
                    target: "/e",
                    is_read_only: false,
                },
                Mount {
                    source: Bind {
                        path: "/srv/fra",
                        propagation: None,
                        create_host_path: true,
                        selinux: None,
                    },
                    target: "/s",
                    is_read_only: true,
                },
            ],
            [
                Tmpfs {
                    target: "/run",
                    options: "",
                },
                Tmpfs {
                    target: "/tmp",
                    options: "size=64m,mode=1777",
                },
            ],
        )
        "#);
    }

    #[test]
    fn the_long_form_means_the_same() {
        assert_same(
            "volumes: [data:/a:nocopy, /b, /srv:/c:ro, /opt:/d:slave]\n\
             tmpfs: \"/e:ro,size=67108864,mode=1777\"",
            "volumes:\n  - { type: volume, source: data, target: /a, volume: { nocopy: true } }\n  \
             - { type: volume, target: /b }\n  \
             - { type: bind, source: /srv, target: /c, read_only: true }\n  \
             - { type: bind, source: /opt, target: /d, bind: { propagation: slave } }\n  \
             - { type: tmpfs, target: /e, read_only: yes, tmpfs: { size: 64m, mode: 01777 } }",
        );
        let container = service(
            "volumes: [{ type: bind, source: /s, target: /s, bind: { create_host_path: false } }]",
        )
        .container;
        let source = MountSource::Bind {
            path: "/s".to_owned(),
            propagation: None,
            create_host_path: false,
            selinux: None,
        };
        assert_eq!(container.mounts[0].source, source);
    }

    #[test]
    fn a_path_on_this_machine_is_refused_with_what_to_write() {
        insta::assert_snapshot!(
            errors("volumes: [./conf/nginx.conf:/etc/nginx/nginx.conf:ro, ~/x:/x, ..:/y, a/b:/z]"),
            @r#"
        4:15 "./conf/nginx.conf" is a path on this machine, the container runs on another
            = name an absolute path of the host, or copy the file in:
              configs:
                conf_nginx_conf: { file: ./conf/nginx.conf }
              services:
                web:
                  configs: [{ source: conf_nginx_conf, target: /etc/nginx/nginx.conf }]
        4:59 "~/x" is a path on this machine, the container runs on another
            = name an absolute path of the host; single files are copied in as `configs`
        4:67 ".." is a path on this machine, the container runs on another
            = name an absolute path of the host; single files are copied in as `configs`
        4:74 "a/b" is a path on this machine, the container runs on another
            = name an absolute path of the host, or copy the file in:
              configs:
                a_b: { file: ./a/b }
              services:
                web:
                  configs: [{ source: a_b, target: /z }]
        "#
        );
    }

    #[test]
    fn what_is_no_mount_is_refused() {
        insta::assert_snapshot!(
            errors(
                "volumes:\n  - dta:/a\n  - other:/a\n  - data:b\n  - data:/c:z\n  - /d:/e:/f:ro\n  \
                 - data:/g:cached\n  - data:/\n  - data:/h\n  - /i:/h/\n  \
                 - { type: bind, target: /j }\n  - { type: volum, target: /k }\n  \
                 - { type: bind, source: /l, target: /l, volume: { nocopy: true } }\n  \
                 - { type: volume, source: data, target: /m, consistency: cached }\n  \
                 - { type: volume, target: /n, volume: { nocopy: true } }\n  \
                 - { type: tmpfs, target: /o, tmpfs: { mode: 1777 } }\ntmpfs: [/h, run]"
            ),
            @r#"
            5:9 the volume "dta" is not declared
                = did you mean "data"?
            6:9 the volume "other" is not declared
                = declare it under the top-level `volumes`: `other: {}`
            6:9 something else is mounted at "/a" already
            7:9 "b" is no absolute path in the container
            9:9 "/d:/e:/f:ro" is no mount: too many ":"
                = the form is [SOURCE:]TARGET[:OPTIONS]
            11:9 nothing can be mounted over the container's root
            13:9 something else is mounted at "/h" already
            14:9 a bind mount needs a "source"
            15:9 a mount needs a "type" and a "target"
            15:17 "type" must be volume or bind or tmpfs, not "volum"
                = did you mean "volume"?
            16:55 "volume" does not go with this "type"
                = it goes with `type: volume`
            18:45 "nocopy" and "subpath" need a named volume
            19:51 "mode" must be an octal file mode such as 0440, not "1777"
            20:13 something else is mounted at "/h" already
            20:17 "run" is no absolute path in the container
            "#
        );
    }
}
