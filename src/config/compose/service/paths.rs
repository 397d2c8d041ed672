//! Paths of hosts and of containers.
use crate::config::compose::document::reader::{Reader, Value};

/// Whether Compose takes it for a path of the host, not for the name of a volume.
pub(crate) fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~', '\\']) || source.contains('/')
}

/// An absolute path of the host; a relative one is refused with what to write instead.
pub(crate) fn absolute(
    reader: &mut Reader<'_>,
    item: Value<'_>,
    path: &str,
    target: &str,
    service: &str,
) -> Option<String> {
    if let Some(path) = clean(path) {
        return Some(path);
    }
    let message = format!("{path:?} is a path on this machine, the container runs on another");
    let file = path.trim_start_matches("./");
    if file.is_empty() || file.starts_with(['.', '~']) {
        let hint = "name an absolute path of the host; single files are copied in as `configs`";
        reader.error_with_hint(&item.node.span, message, hint);
        return None;
    }
    let name = file.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    reader.error_with_hint(
        &item.node.span,
        message,
        format!(
            "name an absolute path of the host, or copy the file in:\n\
             configs:\n  {name}: {{ file: ./{file} }}\n\
             services:\n  {service}:\n    \
             configs: [{{ source: {name}, target: {target} }}]"
        ),
    );
    None
}

/// An absolute path without `.`, `..`, doubled and trailing slashes.
pub(crate) fn clean(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
