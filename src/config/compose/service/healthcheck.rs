//! `healthcheck`.
use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::text::quantity;
use crate::model::service::Healthcheck;

/// The healthcheck as the engine takes it.
pub(crate) fn read_healthcheck(reader: &mut Reader<'_>, value: Value<'_>) -> Healthcheck {
    let mut fields = reader.fields(value);
    let disable = fields.take_given("disable");
    let test = fields.take_given("test");
    let mut duration = |key| {
        let value = fields.take_given(key)?;
        reader.parsed(value, quantity::DURATION, quantity::duration)
    };
    let mut healthcheck = Healthcheck {
        test: Vec::new(),
        interval: duration("interval"),
        timeout: duration("timeout"),
        start_period: duration("start_period"),
        start_interval: duration("start_interval"),
        retries: None,
    };
    healthcheck.retries = fields
        .take_given("retries")
        .and_then(|value| reader.parsed(value, "a number of tries", |text| text.parse().ok()));
    fields.finish(reader, &[]);
    let is_disabled = disable
        .and_then(|value| reader.flag(value))
        .unwrap_or_default();
    match test {
        Some(test) if is_disabled => {
            reader.error(&test.node.span, "\"test\" does not go with `disable: true`");
        }
        Some(test) => healthcheck.test = read_test(reader, test),
        None if is_disabled => healthcheck.test = vec!["NONE".to_owned()],
        None => {}
    }
    healthcheck
}

fn read_test(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<String> {
    if let Kind::Scalar(_) = value.node.kind {
        let command = reader.text(value);
        return command
            .map(|text| vec!["CMD-SHELL".to_owned(), text])
            .unwrap_or_default();
    }
    let test = reader.texts(value);
    let is_whole = match test.first().map(String::as_str) {
        Some("NONE") => test.len() == 1,
        Some("CMD") => test.len() > 1,
        Some("CMD-SHELL") => test.len() == 2,
        // An empty list takes the image's; anything in it unreadable was reported.
        None => true,
        Some(_) => false,
    };
    if !is_whole {
        let message = "a list under \"test\" is [\"CMD\", PROGRAM, …], [\"CMD-SHELL\", LINE] or \
                       [\"NONE\"]";
        reader.error(&value.node.span, message);
    }
    test
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{assert_same, errors, service};

    #[test]
    fn every_form_is_read() {
        let check = service(
            "healthcheck:\n  test: curl -f http://localhost:${PORT}/\n  interval: 1m30s\n  \
             timeout: 10s\n  retries: 3\n  start_period: 0.5s",
        )
        .container
        .healthcheck;
        insta::assert_debug_snapshot!(check, @r#"
        Some(
            Healthcheck {
                test: [
                    "CMD-SHELL",
                    "curl -f http://localhost:8080/",
                ],
                interval: Some(
                    90s,
                ),
                timeout: Some(
                    10s,
                ),
                start_period: Some(
                    500ms,
                ),
                start_interval: None,
                retries: Some(
                    3,
                ),
            },
        )
        "#);
        assert_same(
            "healthcheck: { test: exit 0 }",
            "healthcheck: { test: [CMD-SHELL, exit 0] }",
        );
        assert_same(
            "healthcheck: { disable: true }",
            "healthcheck: { test: [\"NONE\"] }",
        );
        assert_eq!(
            service("healthcheck: { retries: 1 }")
                .container
                .healthcheck
                .unwrap()
                .test
                .len(),
            0
        );
    }

    #[test]
    fn what_is_no_healthcheck_is_refused() {
        insta::assert_snapshot!(errors("healthcheck: { test: [curl, x], interval: 10, retries: -1, intervall: 1s }"), @r#"
        4:26 a list under "test" is ["CMD", PROGRAM, …], ["CMD-SHELL", LINE] or ["NONE"]
        4:47 "interval" must be a duration such as "1m30s", not "10"
        4:60 "retries" must be a number of tries, not "-1"
        4:64 unknown key "intervall"
            = did you mean "interval"?
        "#);
        insta::assert_snapshot!(errors("healthcheck: { test: x, disable: true, start_interval: 1s }"), @r#"4:26 "test" does not go with `disable: true`"#);
        insta::assert_snapshot!(errors("healthcheck: [x]"), @r#"4:18 "healthcheck" must be a map, this is a list"#);
    }
}
