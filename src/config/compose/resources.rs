//! What networks and volumes of the file have in common (their names on the engine), and volumes.
use super::document::fields::Fields;
use super::document::node::{Entry, Kind};
use super::document::reader::Reader;
use crate::model::id::ProjectName;
use crate::model::service::Volume;

/// What a network or a volume is called on the engine.
pub(crate) struct EngineName {
    /// `name`, else the key of an external one, else `PROJECT_KEY`.
    pub(crate) name: String,
    pub(crate) is_external: bool,
}

/// Reads `name` and `external`. What somebody else made is taken as it is: no other key goes
/// with it.
pub(crate) fn read_name(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    entry: &Entry,
    project: &ProjectName,
) -> Option<EngineName> {
    let is_external = is_external(reader, fields);
    let name = match fields.take_given("name") {
        Some(name) => reader.parsed(name, "a name of a-z, A-Z, 0-9, _, . and -", engine_name),
        None if is_external => Some(entry.key.clone()),
        None => Some(format!("{project}_{}", entry.key)),
    };
    if is_external && fields.len() > 0 {
        let message = format!(
            "{:?} is external, nothing but its name can be said",
            entry.key
        );
        reader.error(&entry.key_span, message);
    }
    Some(EngineName {
        name: name?,
        is_external,
    })
}

/// `external: true`; Compose's old map with a name in it is refused with the cure.
fn is_external(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> bool {
    let Some(value) = fields.take_given("external") else {
        return false;
    };
    if let Kind::Map(_) = value.node.kind {
        let message = "\"external\" must be true or false";
        reader.error_with_hint(
            &value.node.span,
            message,
            "write `external: true` and `name: …`",
        );
        return true;
    }
    reader.flag(value).unwrap_or_default()
}

/// One volume of the file.
pub(crate) fn read_volume(
    reader: &mut Reader<'_>,
    entry: &Entry,
    project: &ProjectName,
) -> Option<Volume> {
    let mut fields = reader.fields(entry.value());
    let name = read_name(reader, &mut fields, entry, project);
    let driver = fields.text(reader, "driver");
    let options = fields.take_given("driver_opts");
    let driver_opts = options
        .map(|value| reader.open_assignments(value))
        .unwrap_or_default();
    let labels = fields.assignments(reader, "labels");
    fields.finish(reader, &[]);
    let is_bind = driver_opts
        .get("o")
        .is_some_and(|o| o.split(',').any(|part| part == "bind"));
    let device = driver_opts
        .get("device")
        .filter(|device| is_bind && !device.starts_with('/'));
    if let (Some(options), Some(device)) = (options, device) {
        let message = format!("{device:?} must be an absolute path of the host");
        reader.error(&options.node.span, message);
    }
    let EngineName { name, is_external } = name?;
    Some(Volume {
        name,
        is_external,
        driver,
        driver_opts,
        labels,
    })
}

/// A key of `networks`, `volumes`, `configs` or `secrets`: it becomes part of a name.
pub(crate) fn check_key(reader: &mut Reader<'_>, entry: &Entry) -> bool {
    let is_good = engine_name(&entry.key).is_some();
    if !is_good {
        let message = format!("{:?} is no name: use a-z, A-Z, 0-9, _, . and -", entry.key);
        reader.error(&entry.key_span, message);
    }
    is_good
}

fn engine_name(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_good = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 200
        && text.chars().all(is_part);
    is_good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    #[test]
    fn volumes_are_named_and_made_as_compose_does() {
        let source = "
services: { web: { image: web, volumes: [a:/a, b:/b, c:/c, d:/d] } }
volumes:
  a:
  b: { name: \"b-${HOST}\", labels: { team: edge, n: 1, empty: } }
  c: { external: true }
  d: { driver: local, driver_opts: { type: none, o: bind, device: \"/srv/${SITE}\" } }
  unused: {}
";
        insta::assert_debug_snapshot!(Fixture::new().project(source).volumes, @r#"
        {
            "a": Volume {
                name: "edge_a",
                is_external: false,
                driver: None,
                driver_opts: {},
                labels: {},
            },
            "b": Volume {
                name: "b-fra1",
                is_external: false,
                driver: None,
                driver_opts: {},
                labels: {
                    "empty": "",
                    "n": "1",
                    "team": "edge",
                },
            },
            "c": Volume {
                name: "c",
                is_external: true,
                driver: None,
                driver_opts: {},
                labels: {},
            },
            "d": Volume {
                name: "edge_d",
                is_external: false,
                driver: Some(
                    "local",
                ),
                driver_opts: {
                    "device": "/srv/fra",
                    "o": "bind",
                    "type": "none",
                },
                labels: {},
            },
        }
        "#);
    }

    #[test]
    fn what_is_no_volume_is_refused() {
        let source = "
services: { web: { image: web, volumes: [a:/a] } }
volumes:
  a: { driver: local, driver_opts: { type: none, o: bind, device: ./data } }
  b: { driver_opts: { o: \"password=${PASSWORD}\" }, external: true }
  c: { name: \"with space\", drivr: x }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        4:36 "./data" must be an absolute path of the host
        5:3 "b" is external, nothing but its name can be said
        5:23 a secret would be visible in "driver_opts"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        6:14 "name" must be a name of a-z, A-Z, 0-9, _, . and -, not "with space"
        6:28 unknown key "drivr"
            = did you mean "driver"?
        "#);
    }
}
