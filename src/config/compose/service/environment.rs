//! `environment` and `env_file` of a service.
use std::collections::BTreeMap;
use std::path::Path;

use crate::config::compose::Variable;
use crate::config::compose::document::node::Kind;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::document::values::describe_fault;
use crate::config::compose::files::{cannot_read, file_path};
use crate::config::compose::text::dotenv::{self, DotenvError, DotenvReason};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::sources::{SourceError, Sources};
use crate::model::text::Secret;

type Environment = BTreeMap<String, Option<Secret>>;

/// What reading an env file needs.
pub(crate) struct EnvFiles<'e> {
    pub(crate) sources: &'e mut Sources,
    pub(crate) variables: &'e BTreeMap<String, Variable>,
}

/// Both together: `environment` wins over env files, later files over earlier ones.
pub(crate) fn read_environment(
    reader: &mut Reader<'_>,
    environment: Option<Value<'_>>,
    env_file: Option<Value<'_>>,
    files: &mut EnvFiles<'_>,
) -> Environment {
    let mut merged = Environment::new();
    for item in env_file
        .map(|value| reader.one_or_more(value))
        .unwrap_or_default()
    {
        files.read(reader, item, &mut merged);
    }
    if let Some(value) = environment {
        merged.extend(read_assignments(reader, value, files.variables));
    }
    merged
}

/// The variables that a key without a value may mean.
pub(crate) type Named<'v> = &'v BTreeMap<String, Variable>;

/// `environment`, of a service or of a hook.
pub(crate) fn read_assignments(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    named: Named<'_>,
) -> Environment {
    let mut environment = Environment::new();
    for assignment in reader.assignments(value) {
        if assignment.key.is_empty() || assignment.key.contains(['=', '\0']) {
            reader.error(
                assignment.span,
                "this is no name of an environment variable",
            );
            continue;
        }
        let value = match assignment.value {
            Some(text) => Some(Secret::from(text.value)),
            // Compose asks the caller's environment here; a night must not depend on its caller.
            None => named
                .get(&assignment.key)
                .map(|variable| variable.value.clone()),
        };
        environment.insert(assignment.key, value);
    }
    environment
}

impl EnvFiles<'_> {
    /// One item: a path, or `{ path, required }`.
    fn read(&mut self, reader: &mut Reader<'_>, item: Value<'_>, into: &mut Environment) {
        let mut is_required = true;
        let mut is_raw = false;
        let path = match item.node.kind {
            Kind::Map(_) => {
                let mut fields = reader.fields(item);
                let path = fields.take("path");
                if let Some(flag) = fields.take_given("required") {
                    is_required = reader.flag(flag).unwrap_or(true);
                }
                is_raw = fields
                    .take_given("format")
                    .and_then(|value| reader.word(value, &[("raw", ())]))
                    .is_some();
                fields.finish(reader, &[]);
                if path.is_none() {
                    reader.error(&item.node.span, "an env_file needs a \"path\"");
                }
                path
            }
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => Some(item),
        };
        let Some(value) = path else { return };
        let Some(path) = file_path(reader, value) else {
            return;
        };
        match self.sources.read_text(&path) {
            Ok(source) => {
                let look_up = |name: &str| self.variables.get(name).map(Variable::found);
                let parsed = match is_raw {
                    true => dotenv::parse_raw(&source),
                    false => dotenv::parse(&source, &look_up),
                };
                self.add(reader, &path, parsed, into);
            }
            Err(SourceError::NotFound) if !is_required => {}
            Err(error) => cannot_read(reader, &value.node.span, &path, &error),
        }
    }

    /// A file of labels; everybody can read them, so no secret may flow into one.
    pub(crate) fn read_labels(
        &mut self,
        reader: &mut Reader<'_>,
        value: Value<'_>,
    ) -> BTreeMap<String, String> {
        let Some(path) = file_path(reader, value) else {
            return BTreeMap::new();
        };
        let source = match self.sources.read_text(&path) {
            Ok(source) => source,
            Err(error) => {
                cannot_read(reader, &value.node.span, &path, &error);
                return BTreeMap::new();
            }
        };
        let open = |name: &str| {
            let variable = self.variables.get(name)?;
            (!variable.is_secret).then(|| variable.found())
        };
        match dotenv::parse(&source, &open) {
            Ok(lines) => {
                let label = |line: dotenv::Line| (line.name, line.value.unwrap_or_default());
                lines.into_iter().map(label).collect()
            }
            Err(errors) => {
                for error in errors {
                    reader.push(self.diagnostic(&path, error));
                }
                BTreeMap::new()
            }
        }
    }

    fn add(
        &self,
        reader: &mut Reader<'_>,
        path: &Path,
        parsed: Result<Vec<dotenv::Line>, Vec<DotenvError>>,
        into: &mut Environment,
    ) {
        match parsed {
            Ok(lines) => {
                for line in lines {
                    match (line.value, self.variables.get(&line.name)) {
                        (Some(value), _) => {
                            into.insert(line.name, Some(Secret::from(value)));
                        }
                        (None, Some(variable)) => {
                            into.insert(line.name, Some(variable.value.clone()));
                        }
                        (None, None) => {}
                    }
                }
            }
            Err(errors) => {
                for error in errors {
                    reader.push(self.diagnostic(path, error));
                }
            }
        }
    }

    fn diagnostic(&self, path: &Path, error: DotenvError) -> Diagnostic {
        let (message, hint) = match error.reason {
            DotenvReason::NoName => (
                "this is no variable".to_owned(),
                "the form is NAME=VALUE; names hold letters, digits, _, . and -".to_owned(),
            ),
            DotenvReason::Unclosed => (
                "the quote is never closed".to_owned(),
                "\\ before a quote keeps it".to_owned(),
            ),
            DotenvReason::Variable(fault) => {
                let (message, hint) = describe_fault(fault.reason, self.variables);
                (
                    message,
                    format!("{hint}; single quotes keep a value as it is"),
                )
            }
        };
        Diagnostic {
            severity: Severity::Error,
            path: path.to_owned(),
            span: Some(error.span),
            message,
            label: None,
            hint: Some(hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{Fixture, assert_same, errors, service};

    fn environment(fixture: &Fixture, keys: &str) -> String {
        let source = format!("services:\n  web:\n    image: web\n{keys}");
        let project = fixture.project(&source);
        assert!(!format!("{project:?}").contains("hunter2"));
        let shown: Vec<String> = project.services[0]
            .container
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={:?}", value.as_ref().map(|v| v.reveal_text())))
            .collect();
        shown.join("\n")
    }

    #[test]
    fn a_list_and_a_map_mean_the_same() {
        assert_same(
            "environment: [A=1, \"B=x=y\", C=, SITE, NONE, \"P=${PASSWORD}\", \"${SITE}=x\", Z=010]",
            "environment: { A: 1, B: x=y, C: \"\", SITE: , NONE: , P: \"${PASSWORD}\", fra: x, Z: 010 }",
        );
        assert_same("environment:", "environment: {}");
    }

    #[test]
    fn environment_wins_over_env_files_and_later_files_over_earlier() {
        let fixture = Fixture::new()
            .with_file("a.env", "A=a\nB=a\nC=a\nSITE\nNONE\nP=${PASSWORD}-$SITE\n")
            .with_file("b.env", "B=b\nC=b\n");
        let keys = "    env_file: [./a.env, { path: b.env }, { path: c.env, required: false }]\n    \
                    environment: { C: c, D: true, E: 1.10, SITE: , NONE: }\n";
        insta::assert_snapshot!(environment(&fixture, keys), @r#"
        A=Some("a")
        B=Some("b")
        C=Some("c")
        D=Some("true")
        E=Some("1.10")
        NONE=None
        P=Some("hunter2-fra")
        SITE=Some("fra")
        "#);
        assert_eq!(
            environment(&fixture, "    env_file: b.env\n"),
            "B=Some(\"b\")\nC=Some(\"b\")"
        );
    }

    #[test]
    fn a_secret_may_stand_in_a_value_only() {
        insta::assert_snapshot!(
            errors("environment: [\"${PASSWORD}=x\", \"${PASSWORD}\", \"A${PASSWORD}=x\"]"),
            @r#"
        4:19 a secret would be visible in "environment"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        4:36 a secret would be visible in "environment"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        4:51 a secret would be visible in "environment"
            = secrets may stand in `environment`, in an env_file and in the `content` of a config
        "#
        );
        let container = service("environment: [\"A=x${PASSWORD}\"]").container;
        assert_eq!(
            container.environment["A"].as_ref().unwrap().reveal(),
            b"xhunter2"
        );
    }

    #[test]
    fn faults_of_an_env_file_stand_in_the_env_file() {
        let fixture = Fixture::new().with_file("bad.env", "GOOD=1\nA B=x\nC=${NOWHERE}\nD='x\n");
        let source = "
services:
  web:
    image: web
    env_file: [bad.env, missing.env, { path: a.env, format: raw }, { required: false }]
    environment: { A: [1], =x: 1, B: 1, B: 2 }
";
        insta::assert_snapshot!(fixture.errors(source), @r#"
        5:25 cannot read "DIR/missing.env": there is no such file
        5:46 cannot read "DIR/a.env": there is no such file
        5:68 an env_file needs a "path"
        6:23 "A" must be text, this is a list
        6:28 this is no name of an environment variable
        6:41 "B" is given twice
        bad.env:2:1 this is no variable
            = the form is NAME=VALUE; names hold letters, digits, _, . and -
        bad.env:3:1 the variable "NOWHERE" is not defined
            = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file; ${NOWHERE:-…} gives a default; $$ is a dollar sign; single quotes keep a value as it is
        bad.env:4:1 the quote is never closed
            = \ before a quote keeps it
        "#);
    }
}
