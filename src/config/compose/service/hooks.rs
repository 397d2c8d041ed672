//! `post_start` and `pre_stop`: commands that are run in the container.
use super::container::read_command;
use super::environment::{Named, read_assignments};
use crate::config::compose::document::reader::{Reader, Value};
use crate::model::service::LifecycleHook;

/// A list of hooks, in the order in which they are run.
pub(crate) fn read_hooks(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    named: Named<'_>,
) -> Vec<LifecycleHook> {
    let items = reader.list(value);
    let hook = |item| read_hook(reader, item, named);
    items.into_iter().filter_map(hook).collect()
}

fn read_hook(reader: &mut Reader<'_>, item: Value<'_>, named: Named<'_>) -> Option<LifecycleHook> {
    let mut fields = reader.fields(item);
    let command = fields.take_given("command");
    let user = fields.text(reader, "user");
    let is_privileged = fields.flag(reader, "privileged").unwrap_or_default();
    let working_dir = fields.text(reader, "working_dir");
    let environment = fields.take_given("environment");
    fields.finish(reader, &[]);
    let environment = environment
        .map(|value| read_assignments(reader, value, named))
        .unwrap_or_default();
    let command = command.and_then(|value| read_command(reader, value));
    let Some(command) = command.filter(|command| !command.is_empty()) else {
        let message = format!("an item of {:?} needs a \"command\"", item.name);
        reader.error(&item.node.span, message);
        return None;
    };
    Some(LifecycleHook {
        command,
        user,
        is_privileged,
        working_dir,
        environment,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{errors, service};

    #[test]
    fn hooks_are_read_in_their_order() {
        let container = service(
            "post_start:\n  - command: ./warm.sh ${SITE}\n    user: root\n    privileged: true\n    \
             working_dir: /srv\n    environment: [A=1, \"B=${PASSWORD}\", SITE]\n  - command: [sh, -c, \"exit 0\"]\n\
             pre_stop:\n  - command: nginx -s quit",
        )
        .container;
        assert!(!format!("{container:?}").contains("hunter2"));
        insta::assert_debug_snapshot!((container.post_start, container.pre_stop), @r#"
        (
            [
                LifecycleHook {
                    command: [
                        "./warm.sh",
                        "fra",
                    ],
                    user: Some(
                        "root",
                    ),
                    is_privileged: true,
                    working_dir: Some(
                        "/srv",
                    ),
                    environment: {
                        "A": Some(
                            [1 bytes, not shown],
                        ),
                        "B": Some(
                            [7 bytes, not shown],
                        ),
                        "SITE": Some(
                            [3 bytes, not shown],
                        ),
                    },
                },
                LifecycleHook {
                    command: [
                        "sh",
                        "-c",
                        "exit 0",
                    ],
                    user: None,
                    is_privileged: false,
                    working_dir: None,
                    environment: {},
                },
            ],
            [
                LifecycleHook {
                    command: [
                        "nginx",
                        "-s",
                        "quit",
                    ],
                    user: None,
                    is_privileged: false,
                    working_dir: None,
                    environment: {},
                },
            ],
        )
        "#);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        insta::assert_snapshot!(
            errors("post_start: [{ user: root }, { command: \"\" }, { command: [a], workdir: / }]\npre_stop: nginx -s quit"),
            @r#"
            4:18 an item of "post_start" needs a "command"
            4:34 an item of "post_start" needs a "command"
            4:67 unknown key "workdir"
            5:15 "pre_stop" must be a list, this is text
            "#
        );
    }
}
