//! The namespaces that a container shares: `pid`, `ipc`, `uts`, `userns_mode`, `cgroup`.
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::reader::Reader;
use crate::model::service::Namespaces;

pub(crate) fn read_namespaces(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Namespaces {
    let mut read = |key, expected: &str, words: &[&str], others: bool| {
        fields.parsed(reader, key, expected, |text| {
            let is_other = ["service:", "container:"].iter().any(|prefix| {
                text.strip_prefix(prefix)
                    .is_some_and(|name| !name.is_empty())
            });
            (words.contains(&text) || (others && is_other)).then(|| text.to_owned())
        })
    };
    Namespaces {
        pid: read(
            "pid",
            "host, service:NAME or container:NAME",
            &["host"],
            true,
        ),
        ipc: read(
            "ipc",
            "host, private, shareable, none, service:NAME or container:NAME",
            &["host", "private", "shareable", "none"],
            true,
        ),
        uts: read("uts", "host", &["host"], false),
        user: read("userns_mode", "host", &["host"], false),
        cgroup: read("cgroup", "host or private", &["host", "private"], false),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{errors, service};

    #[test]
    fn every_namespace_is_read() {
        let namespaces =
            service("pid: host\nipc: shareable\nuts: host\nuserns_mode: host\ncgroup: private")
                .container
                .namespaces;
        insta::assert_debug_snapshot!(namespaces, @r#"
        Namespaces {
            pid: Some(
                "host",
            ),
            ipc: Some(
                "shareable",
            ),
            uts: Some(
                "host",
            ),
            user: Some(
                "host",
            ),
            cgroup: Some(
                "private",
            ),
        }
        "#);
    }

    #[test]
    fn what_is_no_namespace_is_refused() {
        insta::assert_snapshot!(errors("pid: private\nipc: \"service:\"\nuts: private\nuserns_mode: remap\ncgroup: x"), @r#"
        4:10 "pid" must be host, service:NAME or container:NAME, not "private"
        5:10 "ipc" must be host, private, shareable, none, service:NAME or container:NAME, not "service:"
        5:10 the service "" is not in this file
        6:10 "uts" must be host, not "private"
        7:18 "userns_mode" must be host, not "remap"
        8:13 "cgroup" must be host or private, not "x"
        "#);
        insta::assert_snapshot!(errors("ipc: service:nobody"), @r#"4:10 the service "nobody" is not in this file"#);
    }
}
