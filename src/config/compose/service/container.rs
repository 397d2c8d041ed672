//! What the engine is told of a container's process: command, devices, limits, logging, hosts.
use std::collections::BTreeMap;

use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::text::words::{self, WordsError};
use crate::model::service::{Device, Logging, PullPolicy, Restart, Ulimit};

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

/// `pull_policy`.
pub(crate) fn read_pull_policy(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PullPolicy> {
    let words = [
        ("always", PullPolicy::Always),
        ("never", PullPolicy::Never),
        ("missing", PullPolicy::Missing),
        ("if_not_present", PullPolicy::Missing),
    ];
    reader.word(value, &words)
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
    let is_address = address == "host-gateway" || address.parse::<std::net::IpAddr>().is_ok();
    if host.is_empty() || host.contains([':', '=']) || !is_address {
        let message = format!("\"{host}={address}\" is no host and its address");
        reader.error(&item.node.span, message);
        return None;
    }
    Some((host.to_owned(), address.to_owned()))
}

/// `devices`: `HOST[:CONTAINER[:PERMISSIONS]]`, or a map.
pub(crate) fn read_devices(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<Device> {
    let mut devices = Vec::new();
    for item in reader.list(value) {
        let parts = match item.node.kind {
            Kind::Map(_) => read_device(reader, item),
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => {
                reader.text(item).map(|text| split_device(&text))
            }
        };
        let Some(device) = parts else { continue };
        let is_good = device.host.starts_with('/')
            && device.container.starts_with('/')
            && !device.permissions.is_empty()
            && device.permissions.chars().all(|c| "rwm".contains(c));
        if is_good {
            devices.push(device);
        } else {
            let message = format!("{:?} is no device", device.host);
            let hint = "the form is HOST[:CONTAINER[:PERMISSIONS]], such as \"/dev/fuse\" or \
                        \"/dev/sda:/dev/xvda:r\"";
            reader.error_with_hint(&item.node.span, message, hint);
        }
    }
    devices
}

fn split_device(text: &str) -> Device {
    let (host, rest) = text.split_once(':').unwrap_or((text, ""));
    let (container, permissions) = match rest.split_once(':') {
        Some(both) => both,
        // `/dev/fuse:r` gives permissions only.
        None if !rest.is_empty() && !rest.starts_with('/') => (host, rest),
        None => (rest, "rwm"),
    };
    let container = if container.is_empty() {
        host
    } else {
        container
    };
    Device {
        host: host.to_owned(),
        container: container.to_owned(),
        permissions: permissions.to_owned(),
    }
}

fn read_device(reader: &mut Reader<'_>, item: Value<'_>) -> Option<Device> {
    let mut fields = reader.fields(item);
    let source = fields.take("source").and_then(|value| reader.text(value));
    let target = fields.text(reader, "target");
    let permissions = fields.text(reader, "permissions");
    fields.finish(reader, &[]);
    if source.is_none() {
        reader.error(&item.node.span, "a device needs a \"source\"");
    }
    let host = source?;
    Some(Device {
        container: target.unwrap_or_else(|| host.clone()),
        permissions: permissions.unwrap_or_else(|| "rwm".to_owned()),
        host,
    })
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
        7:18 "pull_policy" must be always or never or missing or if_not_present, not "missin"
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
