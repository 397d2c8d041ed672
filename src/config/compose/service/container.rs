//! What the engine is told of a container's process: command, devices, limits, logging, hosts.
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::environment::EnvFiles;
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::text::quantity;
use crate::config::compose::text::words::{self, WordsError};
use crate::model::service::{Dns, Logging, PullPolicy, Restart, Ulimit};

/// `command` or `entrypoint`: a list, or a string that is split into its words. Nothing at all
/// leaves the image's, an empty list or string clears it.
pub(crate) fn read_command(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Vec<String>> {
    match value.node.kind {
        Kind::Null => None,
        Kind::List(_) | Kind::Map(_) => Some(reader.texts(value)),
        Kind::Scalar(_) => {
            let text = reader.text(value)?;
            match words::split(&text) {
                Ok(words) => Some(words),
                Err(WordsError::UnclosedQuote) => {
                    reader.error(&value.node.span, "a quote is never closed");
                    None
                }
                Err(WordsError::ShellOperator(operator)) => {
                    let message = format!("no shell reads this, {operator:?} would be lost");
                    let hint = format!(
                        "write `{}: [\"sh\", \"-c\", \"…\"]`, or quote it",
                        value.name
                    );
                    reader.error_with_hint(&value.node.span, message, hint);
                    None
                }
            }
        }
    }
}

/// `restart`.
pub(crate) fn read_restart(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Restart> {
    let expected = "no, always, unless-stopped, on-failure or on-failure:TRIES";
    reader.parsed(value, expected, |text| match text {
        "no" => Some(Restart::No),
        "always" => Some(Restart::Always),
        "unless-stopped" => Some(Restart::UnlessStopped),
        "on-failure" => Some(Restart::OnFailure(0)),
        _ => text
            .strip_prefix("on-failure:")?
            .parse()
            .ok()
            .map(Restart::OnFailure),
    })
}

/// `pull_policy`. How old a tag may be that is not asked for again says nothing here: digests are
/// pinned when a rotation is planned.
pub(crate) fn read_pull_policy(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PullPolicy> {
    let words = [
        ("always", PullPolicy::Always),
        ("never", PullPolicy::Never),
        ("missing", PullPolicy::Missing),
        ("if_not_present", PullPolicy::Missing),
        ("refresh", PullPolicy::Missing),
        ("daily", PullPolicy::Missing),
        ("weekly", PullPolicy::Missing),
    ];
    let every = reader.plain(value);
    let every = every
        .as_deref()
        .and_then(|text| text.strip_prefix("every_"));
    if every.is_some_and(|every| quantity::duration(every).is_some()) {
        return Some(PullPolicy::Missing);
    }
    if reader.plain(value).as_deref() == Some("build") {
        let hint = "build the image elsewhere and push it to a registry";
        reader.error_with_hint(&value.node.span, "nothing is built here", hint);
        return None;
    }
    reader.word(value, &words)
}

/// `dns`, `dns_search` and `dns_opt`.
pub(crate) fn read_dns(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Dns {
    let mut several = |reader: &mut Reader<'_>, key| {
        let items = fields
            .take_given(key)
            .map(|value| reader.one_or_more(value));
        items.unwrap_or_default()
    };
    let servers = several(reader, "dns");
    let search = several(reader, "dns_search");
    let options = several(reader, "dns_opt");
    let mut texts = |items: Vec<Value<'_>>| {
        let texts = items.into_iter().filter_map(|item| reader.text(item));
        texts.collect::<Vec<String>>()
    };
    Dns {
        search: texts(search),
        options: texts(options),
        servers: servers
            .into_iter()
            .filter_map(|item| {
                reader.parsed(item, "an IP address", |text| text.parse::<IpAddr>().ok())
            })
            .collect(),
    }
}

/// `platform`: `OS/ARCHITECTURE[/VARIANT]`.
pub(crate) fn read_platform(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<String> {
    let expected = "a platform such as \"linux/amd64\"";
    fields.parsed(reader, "platform", expected, |text| {
        let is_part = |part: &str| {
            let is_word =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
            !part.is_empty() && part.chars().all(is_word)
        };
        let parts: Vec<&str> = text.split('/').collect();
        ((1..=3).contains(&parts.len()) && parts.into_iter().all(is_part)).then(|| text.to_owned())
    })
}

/// `mac_address`, of a service or of its place on a network.
pub(crate) fn read_mac_address(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<String> {
    let expected = "an address such as \"02:42:ac:11:65:43\"";
    fields.parsed(reader, "mac_address", expected, |text| {
        let is_byte =
            |part: &str| part.len() == 2 && part.chars().all(|digit| digit.is_ascii_hexdigit());
        let parts: Vec<&str> = text.split([':', '-']).collect();
        (parts.len() == 6 && parts.into_iter().all(is_byte)).then(|| text.to_owned())
    })
}

/// `label_file`: files of `KEY=VALUE`; what `labels` says wins over them.
pub(crate) fn read_label_files(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    files: &mut EnvFiles<'_>,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let named = fields.take_given("label_file");
    for item in named
        .map(|value| reader.one_or_more(value))
        .unwrap_or_default()
    {
        for (key, value) in files.read_labels(reader, item) {
            labels.insert(key, value);
        }
    }
    labels
}

/// `ulimits`: a number for both, or `{ soft, hard }`.
pub(crate) fn read_ulimits(reader: &mut Reader<'_>, value: Value<'_>) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    for entry in reader.entries(value) {
        let value = entry.value();
        let ulimit = match entry.value.kind {
            Kind::Map(_) => {
                let mut fields = reader.fields(value);
                let soft = fields
                    .take("soft")
                    .and_then(|value| read_ulimit(reader, value));
                let hard = fields
                    .take("hard")
                    .and_then(|value| read_ulimit(reader, value));
                fields.finish(reader, &[]);
                if soft.is_none() || hard.is_none() {
                    reader.error(&entry.key_span, "a ulimit needs \"soft\" and \"hard\"");
                }
                soft.zip(hard).map(|(soft, hard)| Ulimit { soft, hard })
            }
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => {
                read_ulimit(reader, value).map(|both| Ulimit {
                    soft: both,
                    hard: both,
                })
            }
        };
        ulimits.extend(ulimit.map(|ulimit| (entry.key.clone(), ulimit)));
    }
    ulimits
}

fn read_ulimit(reader: &mut Reader<'_>, value: Value<'_>) -> Option<i64> {
    reader.parsed(value, "a number, or -1 for no limit", |text| {
        text.parse().ok().filter(|limit| *limit >= -1)
    })
}

/// `logging`.
pub(crate) fn read_logging(reader: &mut Reader<'_>, value: Value<'_>) -> Logging {
    let mut fields = reader.fields(value);
    let driver = fields.text(reader, "driver");
    let options = fields
        .take_given("options")
        .map(|value| reader.open_assignments(value));
    fields.finish(reader, &[]);
    Logging {
        driver,
        options: options.unwrap_or_default(),
    }
}

/// `extra_hosts`: `HOST=IP` or `HOST:IP` in a list, or a map whose values may be lists.
pub(crate) fn read_extra_hosts(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    if let Kind::Map(_) = value.node.kind {
        for entry in reader.entries(value) {
            for item in reader.one_or_more(entry.value()) {
                let Some(address) = reader.text(item) else {
                    continue;
                };
                hosts.extend(extra_host(reader, item, &entry.key, &address));
            }
        }
        return hosts;
    }
    for item in reader.list(value) {
        let Some(text) = reader.text(item) else {
            continue;
        };
        match text.split_once('=').or_else(|| text.split_once(':')) {
            Some((host, addresses)) => {
                for address in addresses.split(',') {
                    hosts.extend(extra_host(reader, item, host, address));
                }
            }
            None => {
                let message = format!("{text:?} is no host: the form is HOST=ADDRESS");
                reader.error(&item.node.span, message);
            }
        }
    }
    hosts
}

fn extra_host(
    reader: &mut Reader<'_>,
    item: Value<'_>,
    host: &str,
    address: &str,
) -> Option<(String, String)> {
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_address = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
    if host.is_empty() || host.contains([':', '=']) || !is_address {
        let message = format!("\"{host}={address}\" is no host and its address");
        reader.error(&item.node.span, message);
        return None;
    }
    Some((host.to_owned(), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{assert_same, errors, service};
    use crate::model::service::{PullPolicy, Restart};

    #[test]
    fn a_command_is_a_list_or_split_into_words() {
        assert_same(
            "command: nginx -g 'daemon off;'",
            "command: [nginx, -g, \"daemon off;\"]",
        );
        assert_same(
            "entrypoint: /run.sh --port=${PORT}",
            "entrypoint: [/run.sh, --port=8080]",
        );
        assert_same("command:", "init:");
        assert_eq!(service("command: []").container.command, Some(Vec::new()));
        assert_eq!(service("command: \"\"").container.command, Some(Vec::new()));
        assert_eq!(
            service("command: [echo, 1.0, yes]")
                .container
                .command
                .unwrap()[1..],
            ["1.0", "yes"]
        );
    }

    #[test]
    fn restart_and_pull_policies_are_those_of_compose() {
        let restart = |text: &str| service(&format!("restart: {text}")).container.restart;
        assert_eq!(restart("no"), Restart::No);
        assert_eq!(restart("\"no\""), Restart::No);
        assert_eq!(restart("unless-stopped"), Restart::UnlessStopped);
        assert_eq!(restart("on-failure"), Restart::OnFailure(0));
        assert_eq!(restart("on-failure:5"), Restart::OnFailure(5));
        let pull = |text: &str| {
            service(&format!("pull_policy: {text}"))
                .container
                .pull_policy
        };
        assert_eq!(pull("if_not_present"), PullPolicy::Missing);
        assert_eq!(pull("always"), PullPolicy::Always);
    }

    #[test]
    fn both_forms_of_the_rest_mean_the_same() {
        assert_same(
            "ulimits: { nofile: 5, nproc: -1 }",
            "ulimits: { nofile: { soft: 5, hard: 5 }, nproc: -1 }",
        );
        assert_same(
            "extra_hosts: [\"a:10.0.0.1\", \"b=::1\", \"h:host-gateway\"]",
            "extra_hosts: { a: 10.0.0.1, b: [\"[::1]\"], h: host-gateway }",
        );
        assert_same(
            "devices: [/dev/fuse, \"/dev/a:/dev/b:r\", \"/dev/c:rw\"]",
            "devices: [{ source: /dev/fuse }, { source: /dev/a, target: /dev/b, permissions: r }, \
             \"/dev/c:/dev/c:rw\"]",
        );
        assert_same(
            "sysctls: [net.core.somaxconn=1024]",
            "sysctls: { net.core.somaxconn: 1024 }",
        );
        assert_same(
            "labels: [a=1, b, \"c=${SITE}\"]",
            "labels: { a: 1, b: , c: fra }",
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        insta::assert_snapshot!(
            errors(
                "command: sleep 5 && echo\nentrypoint: \"sh -c 'x\"\nrestart: allways\n\
                 pull_policy: missin\nulimits: { nofile: { soft: 5 }, core: x }\n\
                 extra_hosts: [a, \"b:c\"]\ndevices: [dev, \"/dev/a:/b:q\"]\n\
                 logging: { driver: json-file, option: {} }"
            ),
            @r#"
            4:14 no shell reads this, '&' would be lost
                = write `command: ["sh", "-c", "…"]`, or quote it
            5:17 a quote is never closed
            6:14 "restart" must be no, always, unless-stopped, on-failure or on-failure:TRIES, not "allways"
            7:18 "pull_policy" must be always or never or missing or if_not_present or refresh or daily or weekly, not "missin"
                = did you mean "missing"?
            8:16 a ulimit needs "soft" and "hard"
            8:43 "core" must be a number, or -1 for no limit, not "x"
            9:19 "a" is no host: the form is HOST=ADDRESS
            9:22 "b=c" is no host and its address
            10:15 "dev" is no device
                = the form is HOST[:CONTAINER[:PERMISSIONS]], such as "/dev/fuse" or "/dev/sda:/dev/xvda:r"
            10:20 "/dev/a" is no device
                = the form is HOST[:CONTAINER[:PERMISSIONS]], such as "/dev/fuse" or "/dev/sda:/dev/xvda:r"
            11:35 unknown key "option"
                = did you mean "options"?
            "#
        );
    }
}
