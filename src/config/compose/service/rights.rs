//! What a container may do: capabilities, devices, sysctls, the process namespace.
use super::container::read_devices;
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::reader::{Reader, Value};
use crate::model::service::ContainerSpec;

pub(crate) fn read_rights(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
) {
    container.cap_add = fields.texts(reader, "cap_add");
    container.cap_drop = fields.texts(reader, "cap_drop");
    container.is_privileged = fields.flag(reader, "privileged").unwrap_or_default();
    container.is_read_only = fields.flag(reader, "read_only").unwrap_or_default();
    if let Some(value) = fields.take_given("security_opt") {
        container.security_opt = read_security_opt(reader, value);
    }
    container.devices = fields
        .read(reader, "devices", read_devices)
        .unwrap_or_default();
    container.sysctls = fields.assignments(reader, "sysctls");
    container.pid = fields.take_given("pid").and_then(|value| {
        let expected = "host, service:NAME or container:NAME";
        reader.parsed(value, expected, |text| {
            let is_other = ["service:", "container:"].iter().any(|prefix| {
                text.strip_prefix(prefix)
                    .is_some_and(|name| !name.is_empty())
            });
            (text == "host" || is_other).then(|| text.to_owned())
        })
    });
}

fn read_security_opt(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<String> {
    let options = reader.texts(value);
    let is_profile = |option: &&String| {
        let profile = option
            .strip_prefix("seccomp")
            .and_then(|rest| rest.strip_prefix([':', '=']));
        profile.is_some_and(|name| !matches!(name, "unconfined" | "builtin"))
    };
    if options.iter().any(|option| is_profile(&option)) {
        let message = "a seccomp profile from a file is not carried out here";
        reader.error_with_hint(
            &value.node.span,
            message,
            "there are unconfined and builtin",
        );
    }
    options
}
