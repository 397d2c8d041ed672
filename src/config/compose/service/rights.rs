//! What a container may do: capabilities, devices, groups, sysctls, namespaces.
use super::devices::{read_cgroup_rules, read_devices, read_gpus};
use super::namespaces::read_namespaces;
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::files::cannot_read;
use crate::config::sources::Sources;
use crate::model::service::ContainerSpec;

pub(crate) fn read_rights(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    container: &mut ContainerSpec,
    sources: &mut Sources,
) {
    container.cap_add = fields.texts(reader, "cap_add");
    container.cap_drop = fields.texts(reader, "cap_drop");
    container.is_privileged = fields.flag(reader, "privileged").unwrap_or_default();
    container.is_read_only = fields.flag(reader, "read_only").unwrap_or_default();
    if let Some(value) = fields.take_given("security_opt") {
        container.security_opt = read_security_opt(reader, value, sources);
    }
    container.devices = fields
        .read(reader, "devices", read_devices)
        .unwrap_or_default();
    container.device_cgroup_rules = fields
        .read(reader, "device_cgroup_rules", read_cgroup_rules)
        .unwrap_or_default();
    if let Some(value) = fields.take_given("gpus") {
        container.device_requests.extend(read_gpus(reader, value));
    }
    container.group_add = fields.texts(reader, "group_add");
    container.sysctls = fields.assignments(reader, "sysctls");
    container.namespaces = read_namespaces(reader, fields);
    container.cgroup_parent = fields.text(reader, "cgroup_parent");
}

/// A seccomp profile is read here and sent along, as Compose does.
fn read_security_opt(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    sources: &mut Sources,
) -> Vec<String> {
    let mut options = Vec::new();
    for item in reader.list(value) {
        let Some(option) = reader.text(item) else {
            continue;
        };
        let profile = option
            .strip_prefix("seccomp")
            .and_then(|rest| rest.strip_prefix([':', '=']))
            .filter(|name| !matches!(*name, "unconfined" | "builtin"));
        match profile {
            None => options.push(option),
            Some(path) => options.extend(read_seccomp(reader, item, path, sources)),
        }
    }
    options
}

fn read_seccomp(
    reader: &mut Reader<'_>,
    item: Value<'_>,
    path: &str,
    sources: &mut Sources,
) -> Option<String> {
    let span = &item.node.span;
    let path = reader.folder_of(span).join(path.trim_start_matches("./"));
    let text = match sources.read_text(&path) {
        Ok(text) => text,
        Err(error) => {
            cannot_read(reader, span, &path, &error);
            return None;
        }
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(profile) => Some(format!("seccomp={profile}")),
        Err(error) => {
            let message = format!("\"{}\" is no seccomp profile: {error}", path.display());
            reader.error(span, message);
            None
        }
    }
}
