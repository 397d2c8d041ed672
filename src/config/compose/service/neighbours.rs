//! `links`, `external_links` and `volumes_from`: other containers, by name.
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::reader::{Reader, Value};
use crate::model::id::ServiceName;
use crate::model::service::{ExternalLink, Link, SharedVolumes};

/// The service that an item of `links` names, and how it is called.
pub(crate) fn split_link(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, text))
}

/// `SERVICE[:ALIAS]`.
pub(crate) fn read_links(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<Link> {
    let expected = "a service and, after a \":\", its alias";
    read_items(reader, fields, "links", expected, |text| {
        let (to, alias) = split_link(text);
        Some(Link {
            to: to.parse::<ServiceName>().ok()?,
            alias: host_name(alias)?,
        })
    })
}

/// `CONTAINER[:ALIAS]`.
pub(crate) fn read_external_links(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
) -> Vec<ExternalLink> {
    let expected = "a container and, after a \":\", its alias";
    read_items(reader, fields, "external_links", expected, |text| {
        let (container, alias) = split_link(text);
        Some(ExternalLink {
            container: host_name(container)?,
            alias: host_name(alias)?,
        })
    })
}

/// `SERVICE[:ro|:rw]` or `container:NAME[:ro|:rw]`.
pub(crate) fn read_volumes_from(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
) -> Vec<SharedVolumes> {
    let expected = "SERVICE or container:NAME, and \":ro\" where it is only read";
    read_items(reader, fields, "volumes_from", expected, |text| {
        let (container, rest) = match text.strip_prefix("container:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, is_read_only) = match rest.split_once(':') {
            None | Some((_, "rw")) => (rest.trim_end_matches(":rw"), false),
            Some((name, "ro")) => (name, true),
            Some(_) => return None,
        };
        if container {
            return Some(SharedVolumes::OfContainer {
                container: host_name(name)?,
                is_read_only,
            });
        }
        Some(SharedVolumes::OfService {
            service: name.parse().ok()?,
            is_read_only,
        })
    })
}

/// The service that an item of `volumes_from` names, if it names one.
pub(crate) fn service_shared(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':').unwrap_or((text, ""));
    (!text.starts_with("container:")).then_some(name)
}

fn read_items<T>(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    key: &'static str,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let items = fields.take_given(key).map(|value| reader.list(value));
    let read = |item: Value<'_>| reader.parsed(item, expected, &parse);
    items
        .unwrap_or_default()
        .into_iter()
        .filter_map(read)
        .collect()
}

fn host_name(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_good = !text.is_empty() && text.len() <= 253 && text.chars().all(is_part);
    is_good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::Fixture;

    const OTHERS: &str = "services:\n  db: { image: db }\n  data: { image: d, volumes: [data:/d] }\n  \
                          web:\n    image: web\n";

    fn file(keys: &str) -> String {
        format!(
            "{OTHERS}    {}\nvolumes: {{ data: {{}} }}\n",
            keys.replace('\n', "\n    ")
        )
    }

    #[test]
    fn others_are_named_and_waited_for() {
        let project = Fixture::new().project(&file(
            "links: [db, \"db:database\"]\nexternal_links: [\"other_db_1:old\", plain]\n\
             volumes_from: [\"data:ro\", \"container:shared:rw\"]\nipc: service:db",
        ));
        let web = project.services.last().unwrap();
        let container = &web.container;
        insta::assert_debug_snapshot!((
            &web.depends_on,
            &container.links,
            &container.external_links,
            &container.volumes_from
        ), @r#"
        (
            {
                "data": Dependency {
                    condition: Started,
                    is_required: true,
                    restart: false,
                },
                "db": Dependency {
                    condition: Started,
                    is_required: true,
                    restart: true,
                },
            },
            [
                Link {
                    to: "db",
                    alias: "db",
                },
                Link {
                    to: "db",
                    alias: "database",
                },
            ],
            [
                ExternalLink {
                    container: "other_db_1",
                    alias: "old",
                },
                ExternalLink {
                    container: "plain",
                    alias: "plain",
                },
            ],
            [
                OfService {
                    service: "data",
                    is_read_only: true,
                },
                OfContainer {
                    container: "shared",
                    is_read_only: false,
                },
            ],
        )
        "#);
    }

    #[test]
    fn who_is_not_there_or_is_no_name_is_refused() {
        insta::assert_snapshot!(Fixture::new().errors(&file(
            "links: [dbb, \"db:a b\"]\nexternal_links: [\"a:b:c\"]\nvolumes_from: [nobody, \"data:rx\", \"container:\"]",
        )), @r#"
        6:13 the service "dbb" is not in this file
            = did you mean "db"?
        6:18 "links" must be a service and, after a ":", its alias, not "db:a b"
        7:22 "external_links" must be a container and, after a ":", its alias, not "a:b:c"
        8:20 the service "nobody" is not in this file
        8:28 "volumes_from" must be SERVICE or container:NAME, and ":ro" where it is only read, not "data:rx"
        8:39 "volumes_from" must be SERVICE or container:NAME, and ":ro" where it is only read, not "container:"
        "#);
    }

    #[test]
    fn links_need_the_networks_of_the_project() {
        insta::assert_snapshot!(Fixture::new().errors(&file("links: [db]\nnetwork_mode: host\nmac_address: \"02:42:ac:11:65:43\"")), @r#"
        6:12 "links" needs the networks of the project
            = remove it, or "network_mode"
        8:18 "mac_address" needs the networks of the project
            = remove it, or "network_mode"
        "#);
    }
}
