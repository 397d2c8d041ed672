//! Devices of the host: `devices`, `device_cgroup_rules`, `gpus`, and what `deploy` reserves.
use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::model::service::{Device, DeviceRequest};

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
        if is_cdi(&device.host) {
            let message = format!("{:?} is a CDI device", device.host);
            let hint = "engines before Docker 25 know none; use `gpus`, or `runtime`";
            reader.error_with_hint(&item.node.span, message, hint);
            continue;
        }
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

/// `VENDOR/CLASS=NAME` of the Container Device Interface.
fn is_cdi(host: &str) -> bool {
    !host.starts_with('/') && host.contains('/') && host.contains('=')
}

/// `device_cgroup_rules`: `c 1:3 mr`.
pub(crate) fn read_cgroup_rules(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<String> {
    let expected = "a rule such as \"c 1:3 mr\"";
    let items = reader.list(value);
    let rule = |item| reader.parsed(item, expected, cgroup_rule);
    items.into_iter().filter_map(rule).collect()
}

fn cgroup_rule(text: &str) -> Option<String> {
    let mut parts = text.split(' ');
    let (kind, numbers, rights) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |number: &str| number == "*" || number.parse::<u32>().is_ok();
    let (major, minor) = numbers.split_once(':')?;
    let is_good = matches!(kind, "a" | "b" | "c")
        && is_number(major)
        && is_number(minor)
        && !rights.is_empty()
        && rights.chars().all(|c| "rwm".contains(c))
        && parts.next().is_none();
    is_good.then(|| text.to_owned())
}

/// `gpus`: `all`, or a list of requests.
pub(crate) fn read_gpus(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<DeviceRequest> {
    if let Kind::Scalar(_) = value.node.kind {
        let all = DeviceRequest {
            count: Some(-1),
            capabilities: vec!["gpu".to_owned()],
            ..DeviceRequest::default()
        };
        let read = reader.parsed(value, "all, or a list", |text| {
            (text == "all").then_some(all)
        });
        return read.into_iter().collect();
    }
    let mut requests = read_device_requests(reader, value);
    for request in &mut requests {
        // Compose adds it where it is not said.
        if !request
            .capabilities
            .iter()
            .any(|capability| capability == "gpu")
        {
            request.capabilities.push("gpu".to_owned());
        }
    }
    requests
}

/// `deploy.resources.reservations.devices`.
pub(crate) fn read_reserved(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<DeviceRequest> {
    let requests = read_device_requests(reader, value);
    if requests
        .iter()
        .any(|request| request.capabilities.is_empty())
    {
        let message = "a reserved device needs \"capabilities\"";
        reader.error_with_hint(&value.node.span, message, "such as `capabilities: [gpu]`");
    }
    requests
}

fn read_device_requests(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<DeviceRequest> {
    let items = reader.list(value);
    let request = |item| read_device_request(reader, item);
    items.into_iter().map(request).collect()
}

fn read_device_request(reader: &mut Reader<'_>, item: Value<'_>) -> DeviceRequest {
    let mut fields = reader.fields(item);
    let driver = fields.text(reader, "driver");
    let count = fields.parsed(reader, "count", "a number, or all", |text| match text {
        "all" => Some(-1),
        _ => text.parse().ok().filter(|count| *count >= -1),
    });
    let ids = fields.texts(reader, "device_ids");
    let capabilities = fields.texts(reader, "capabilities");
    let options = fields.assignments(reader, "options");
    fields.finish(reader, &[]);
    if count.is_some() && !ids.is_empty() {
        let message = "\"count\" does not go with \"device_ids\"";
        reader.error(&item.node.span, message);
    }
    DeviceRequest {
        driver,
        // As in Compose: where nothing says which, all.
        count: count.or_else(|| ids.is_empty().then_some(-1)),
        ids,
        capabilities,
        options,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{assert_same, errors, service};

    #[test]
    fn requests_are_read() {
        assert_same(
            "gpus: all",
            "deploy: { resources: { reservations: { devices: [{ capabilities: [gpu], count: all }] } } }",
        );
        let container = service(
            "gpus: [{ driver: nvidia, device_ids: [\"0\"], capabilities: [utility], options: { a: b } }]\n\
             device_cgroup_rules: [\"c 1:3 mr\", \"a *:* rwm\"]",
        )
        .container;
        insta::assert_debug_snapshot!((container.device_requests, container.device_cgroup_rules), @r#"
        (
            [
                DeviceRequest {
                    driver: Some(
                        "nvidia",
                    ),
                    count: None,
                    ids: [
                        "0",
                    ],
                    capabilities: [
                        "utility",
                        "gpu",
                    ],
                    options: {
                        "a": "b",
                    },
                },
            ],
            [
                "c 1:3 mr",
                "a *:* rwm",
            ],
        )
        "#);
    }

    #[test]
    fn what_is_no_device_is_refused() {
        insta::assert_snapshot!(
            errors(
                "gpus: some\ndevice_cgroup_rules: [\"c 1:3\"]\ndevices: [\"nvidia.com/gpu=all\"]\n\
                 deploy: { resources: { reservations: { devices: [{ count: 1, device_ids: [a] }], cpus: 1 } } }"
            ),
            @r#"
            4:11 "gpus" must be all, or a list, not "some"
            5:27 "device_cgroup_rules" must be a rule such as "c 1:3 mr", not "c 1:3"
            6:15 "nvidia.com/gpu=all" is a CDI device
                = engines before Docker 25 know none; use `gpus`, or `runtime`
            7:53 a reserved device needs "capabilities"
                = such as `capabilities: [gpu]`
            7:54 "count" does not go with "device_ids"
            7:86 "cpus" is a key of Compose that is not carried out here
                = use `cpu_shares`
            "#
        );
    }
}
