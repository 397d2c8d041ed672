//! Which credentials a registry is asked with, and where they came from.
use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::coordinator::outcome::Problem;
use crate::model::fleet::Registry;
use crate::model::text::Secret;

/// A credential helper is a program of somebody else's: it may ask a network.
const HELPER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a credential helper says, and exits 1, when it holds nothing for a registry. Docker takes
/// it for "none" (docker-credential-helpers, `credentials/error.go`).
const HELPER_HAS_NONE: &str = "credentials not found in native keychain";

/// What a registry is told about us. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Password {
        username: String,
        password: Secret,
        from: Source,
    },
    /// An OAuth refresh token, as `docker login` stores for some registries.
    IdentityToken {
        token: Secret,
        from: Source,
    },
}

/// Where credentials were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    SiteToml { host: String },
    Docker { path: PathBuf },
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::None => write!(f, "no credentials"),
            Credentials::Password { username, from, .. } => {
                write!(f, "the credentials of user {username:?} from {from}")
            }
            Credentials::IdentityToken { from, .. } => write!(f, "the identity token from {from}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::SiteToml { host } => write!(f, "[registry.{host:?}] of site.toml"),
            Source::Docker { path } => write!(f, "{}", path.display()),
        }
    }
}

impl Credentials {
    /// What a person does when the registry `host` does not take these.
    pub(super) fn cure(&self, host: &str) -> String {
        let source = match self {
            Credentials::None => None,
            Credentials::Password { from, .. } | Credentials::IdentityToken { from, .. } => {
                Some(from)
            }
        };
        match source {
            None => format!(
                "add username and password under [registry.{host:?}] in site.toml, or run \
                 `docker login {host}` as the coordinator's user; a name that does not exist is \
                 refused in the same way by some registries"
            ),
            Some(Source::SiteToml { host }) => format!(
                "correct username and password under [registry.{host:?}] in site.toml, and check \
                 that this user may pull"
            ),
            Some(Source::Docker { .. }) => format!(
                "run `docker login {host}` again as the coordinator's user, and check that this \
                 user may pull"
            ),
        }
    }
}

/// The credentials for `host`: those of `site.toml`, else those of the Docker configuration, its
/// credential helpers included, else none.
pub(super) async fn look_up(
    host: &str,
    declared: Option<&Registry>,
    docker_config: Option<&Path>,
) -> Result<Credentials, Problem> {
    if let Some((username, password)) = declared.and_then(|entry| entry.credentials.as_ref()) {
        return Ok(Credentials::Password {
            username: username.clone(),
            password: password.clone(),
            from: Source::SiteToml {
                host: host.to_owned(),
            },
        });
    }
    match docker_config {
        Some(path) => from_docker(host, path).await,
        None => Ok(Credentials::None),
    }
}

async fn from_docker(host: &str, path: &Path) -> Result<Credentials, Problem> {
    let (server, file) = (docker_key(host), path.to_owned());
    let reading = tokio::task::spawn_blocking(move || read(&file, &server));
    let found = match tokio::time::timeout(HELPER_TIMEOUT, reading).await {
        Ok(Ok(found)) => found,
        Ok(Err(panicked)) => Err(format!("reading it failed: {panicked}")),
        Err(_) => Err(format!(
            "its credential helper did not answer within {HELPER_TIMEOUT:?}"
        )),
    };
    let from = Source::Docker {
        path: path.to_owned(),
    };
    match found {
        Ok(None) => Ok(Credentials::None),
        Ok(Some(DockerCredential::UsernamePassword(username, password))) => {
            Ok(Credentials::Password {
                username,
                password: password.into(),
                from,
            })
        }
        Ok(Some(DockerCredential::IdentityToken(token))) => Ok(Credentials::IdentityToken {
            token: token.into(),
            from,
        }),
        Err(why) => Err(Problem {
            what: format!("{host}: no credentials from {}: {why}", path.display()),
            cure: format!(
                "run `docker login {host}` as the coordinator's user, or give username and \
                 password under [registry.{host:?}] in site.toml"
            ),
            is_transient: false,
        }),
    }
}

/// The key under which `docker login` files a registry's credentials.
fn docker_key(host: &str) -> String {
    match host {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        host => host.to_owned(),
    }
}

/// Blocking: a credential helper is run and waited for. What a helper printed is never repeated.
fn read(path: &Path, server: &str) -> Result<Option<DockerCredential>, String> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match docker_credential::get_credential_from_reader(file, server) {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.trim() == HELPER_HAS_NONE =>
        {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(format!("{helper} failed"))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            Err("its credential helper cannot be run".to_owned())
        }
        Err(CredentialRetrievalError::ConfigReadError) => Err("it is no JSON".to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn site_toml_goes_before_docker() {
        let declared = Registry {
            credentials: Some(("robot".to_owned(), "s3cret".into())),
            is_insecure: false,
        };
        let (_dir, path) = docker_config(r#"{"auths":{"r.example.com":{"auth":"YTpi"}}}"#);
        let found = look_up("r.example.com", Some(&declared), Some(&path)).await;
        let found = found.unwrap();
        assert_eq!(
            found.to_string(),
            r#"the credentials of user "robot" from [registry."r.example.com"] of site.toml"#
        );
        assert!(!format!("{found:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn docker_login_s_file_is_read_as_docker_reads_it() {
        let (_dir, path) = docker_config(
            r#"{"auths":{
                "r.example.com":{"auth":"dXNlcjpwYTpzcw=="},
                "https://index.docker.io/v1/":{"auth":"aHViOnB3"},
                "t.example.com":{"auth":"PHRva2VuPjo=","identitytoken":"refresh"}}}"#,
        );
        let from = Source::Docker { path: path.clone() };
        let password = |username: &str, password: &str| Credentials::Password {
            username: username.to_owned(),
            password: password.into(),
            from: from.clone(),
        };
        let cases = [
            ("r.example.com", password("user", "pa:ss")),
            ("docker.io", password("hub", "pw")),
            (
                "t.example.com",
                Credentials::IdentityToken {
                    token: "refresh".into(),
                    from: from.clone(),
                },
            ),
            ("other.example.com", Credentials::None),
        ];
        for (host, expected) in cases {
            assert_eq!(
                look_up(host, None, Some(&path)).await,
                Ok(expected),
                "{host}"
            );
        }
    }

    #[tokio::test]
    async fn no_file_means_no_credentials_and_a_broken_one_is_a_problem() {
        let missing = Path::new("/nonexistent/config.json");
        let found = look_up("r.example.com", None, Some(missing)).await;
        assert_eq!(found, Ok(Credentials::None));

        let (_dir, path) = docker_config("{");
        let problem = look_up("r.example.com", None, Some(&path))
            .await
            .unwrap_err();
        assert!(
            problem.what.ends_with("config.json: it is no JSON"),
            "{problem:?}"
        );
        assert!(problem.cure.contains("docker login r.example.com"));
    }

    #[tokio::test]
    async fn a_helper_that_cannot_be_run_is_a_problem() {
        let (_dir, path) = docker_config(r#"{"credsStore":"no-such-helper"}"#);
        let problem = look_up("r.example.com", None, Some(&path))
            .await
            .unwrap_err();
        assert!(
            problem
                .what
                .ends_with("its credential helper cannot be run"),
            "{problem:?}"
        );
        assert!(!problem.is_transient);
    }

    fn docker_config(json: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        (dir, path)
    }
}
