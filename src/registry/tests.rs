//! Against a real docker-registry, and against a stub for what a real one does only in trouble.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::IMAGE_CONFIG_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use super::Registries;
use super::credentials::Credentials;
use super::session::{Scheme, Session};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Registry;
use crate::model::image::{Digest, ImageRef};
use crate::probe::stub::{Reply, Stub, http};

/// Pretty-printed, with an unknown field and final newlines: only the bytes as they are have the
/// digest.
pub(super) const ODD_INDEX: &str = "{\n  \"schemaVersion\": 2,\n  \
    \"mediaType\": \"application/vnd.oci.image.index.v1+json\",\n  \
    \"x-ours\": true,\n  \"manifests\": []\n}\n\n";

#[tokio::test]
async fn every_kind_of_manifest_resolves_to_the_digest_of_its_bytes() {
    let server = RealRegistry::start();
    let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
    assert_eq!(pushed.len(), 4);
    let images: BTreeSet<ImageRef> = pushed.keys().cloned().collect();

    let resolved = Registries::new(&BTreeMap::new(), None)
        .resolve(&images)
        .await;

    let expected: BTreeMap<_, _> = pushed
        .into_iter()
        .map(|(image, digest)| (image, Ok(digest)))
        .collect();
    assert_eq!(resolved, expected);
}

#[tokio::test]
async fn an_unknown_tag_is_named_and_does_not_hide_the_others() {
    let server = RealRegistry::start();
    let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
    let good = pushed.keys().next().unwrap().clone();
    let missing: ImageRef = format!("{}/web:v9", server.host).parse().unwrap();

    let images = BTreeSet::from([good.clone(), missing.clone()]);
    let resolved = Registries::new(&BTreeMap::new(), None)
        .resolve(&images)
        .await;

    assert_eq!(resolved[&good], Ok(pushed[&good].clone()));
    let problem = resolved[&missing].as_ref().unwrap_err();
    assert_eq!(
        problem.what,
        format!(
            r#"{}/web:v9: no such image: "manifest unknown""#,
            server.host
        )
    );
    assert!(
        problem
            .cure
            .starts_with("push it, or correct the reference")
    );
    assert!(!problem.is_transient);
}

#[tokio::test]
async fn a_digest_resolves_to_itself_only_where_the_registry_has_it() {
    let server = RealRegistry::start();
    let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
    let (image, digest) = pushed.first_key_value().unwrap();
    let pinned: ImageRef = image.pinned(digest).parse().unwrap();
    let absent = format!("{}/web@sha256:{}", server.host, "0a".repeat(32));
    let absent: ImageRef = absent.parse().unwrap();

    let resolved = Registries::new(&BTreeMap::new(), None)
        .resolve(&BTreeSet::from([pinned.clone(), absent.clone()]))
        .await;

    assert_eq!(resolved[&pinned], Ok(digest.clone()));
    let problem = resolved[&absent].as_ref().unwrap_err();
    assert!(problem.what.contains("no such image"), "{problem:?}");
}

#[tokio::test]
async fn right_credentials_are_let_in_wherever_they_are_from_and_wrong_ones_are_named() {
    let server = RealRegistry::start_with_user("robot", "s3cr3t?~?>");
    let right = RegistryAuth::Basic("robot".to_owned(), "s3cr3t?~?>".to_owned());
    let pushed = server.push_all_kinds(&right).await;
    let images: BTreeSet<ImageRef> = pushed.keys().cloned().collect();
    let config = tempfile::NamedTempFile::new().unwrap();
    let auth = data_encoding::BASE64.encode(b"robot:s3cr3t?~?>");
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, server.host);
    config.as_file().write_all(text.as_bytes()).unwrap();
    let docker_config = Some(config.path().to_owned());
    let by_site_toml = declared(&server.host, "robot", "s3cr3t?~?>");

    let expected: BTreeMap<_, _> = pushed.into_iter().map(|(i, d)| (i, Ok(d))).collect();
    for registries in [
        Registries::new(&by_site_toml, None),
        Registries::new(&BTreeMap::new(), docker_config),
    ] {
        assert_eq!(registries.resolve(&images).await, expected);
        assert_eq!(registries.ping(&server.host).await, Ok(()));
    }

    let image = images.first().unwrap();
    let host = &server.host;
    let wrong = Registries::new(&declared(host, "robot", "hunter2"), None);
    let problem = wrong.resolve(&images).await[image].clone().unwrap_err();
    assert_eq!(
        problem.what,
        format!(
            r#"{image}: not let in (HTTP 401) with the credentials of user "robot" from [registry."{host}"] of site.toml"#
        )
    );
    assert!(!problem.cure.contains("hunter2"));
    assert!(!problem.is_transient);
    assert_eq!(
        wrong.ping(host).await.unwrap_err().what,
        format!(
            r#"{host}: not let in (HTTP 401) with the credentials of user "robot" from [registry."{host}"] of site.toml"#
        )
    );

    let nobody = Registries::new(&BTreeMap::new(), None);
    let problem = nobody.ping(host).await.unwrap_err();
    assert!(problem.what.ends_with("with no credentials"), "{problem:?}");
    assert!(problem.cure.contains("docker login"), "{problem:?}");
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_is_asked_for_the_manifest() {
    let stub = Stub::start("127.0.0.1", |_| http("200 OK", &[], ODD_INDEX)).await;
    assert_eq!(resolve_one(&stub, "web:v1").await, Ok(hash(ODD_INDEX)));
}

#[tokio::test]
async fn a_manifest_that_is_not_what_the_registry_says_is_refused() {
    let told = format!("Docker-Content-Digest: sha256:{}", "0a".repeat(32));
    let stub = Stub::start("127.0.0.1", move |head| match head.starts_with("HEAD") {
        true => http("405 Method Not Allowed", &[], ""),
        false => http("200 OK", &[&told], ODD_INDEX),
    })
    .await;
    let problem = resolve_one(&stub, "web:v1").await.unwrap_err();
    assert!(
        problem.what.contains("should be sha256:0a0a"),
        "{problem:?}"
    );
    assert!(!problem.is_transient);
}

#[tokio::test]
async fn a_registry_that_has_something_else_under_a_digest_is_refused() {
    let told = format!("Docker-Content-Digest: {}", hash(ODD_INDEX));
    let stub = Stub::start("127.0.0.1", move |_| http("200 OK", &[&told], ODD_INDEX)).await;
    let pinned = format!("web@sha256:{}", "0a".repeat(32));
    let problem = resolve_one(&stub, &pinned).await.unwrap_err();
    assert!(
        problem
            .what
            .contains(&format!("its manifest is {}", hash(ODD_INDEX))),
        "{problem:?}"
    );
    assert!(!problem.is_transient);
}

#[tokio::test]
async fn a_registry_that_counts_requests_is_left_alone_for_as_long_as_it_says() {
    let mut stub = Stub::start("127.0.0.1", |_| {
        http("429 Too Many Requests", &["Retry-After: 30"], "")
    })
    .await;
    let problem = resolve_one(&stub, "web:v1").await.unwrap_err();
    assert_eq!(
        problem.what,
        format!(
            "{}/web:v1: HTTP 429 Too Many Requests, asks to come again in 30 s",
            stub.address
        )
    );
    assert!(problem.cure.starts_with("try again in 30 s"), "{problem:?}");
    assert!(problem.is_transient);
    assert_eq!(stub.requests().len(), 1, "it was asked again at once");
}

#[tokio::test]
async fn a_server_s_own_error_is_transient() {
    let stub = Stub::start("127.0.0.1", |_| http("503 Service Unavailable", &[], "")).await;
    let problem = resolve_one(&stub, "web:v1").await.unwrap_err();
    assert!(
        problem.what.ends_with("HTTP 503 Service Unavailable"),
        "{problem:?}"
    );
    assert!(problem.is_transient);
}

#[tokio::test]
async fn a_registry_that_is_silent_or_gone_is_transient() {
    let stub = Stub::start("127.0.0.1", |_| Reply::Silence).await;
    let problem = resolve_one(&stub, "web:v1").await.unwrap_err();
    assert!(
        problem.what.ends_with("web:v1: no answer within 10s"),
        "{problem:?}"
    );
    assert!(problem.is_transient);

    let gone = free_address();
    let problem = resolve_at(gone, "web:v1").await.unwrap_err();
    assert!(problem.what.contains("Connection refused"), "{problem:?}");
    assert!(problem.is_transient);
}

#[tokio::test]
async fn tls_and_plain_http_taken_for_each_other_are_told_with_the_key_to_set() {
    install_provider();
    let plain = Stub::start("127.0.0.1", |_| {
        http(
            "400 Bad Request",
            &[],
            "Client sent an HTTP request to an HTTPS server.\n",
        )
    })
    .await;
    let problem = ask(&plain, Scheme::Tls).await.unwrap_err();
    assert!(problem.what.contains("TLS failed"), "{problem:?}");
    assert!(problem.cure.contains("set insecure = true"), "{problem:?}");
    let problem = ask(&plain, Scheme::Plain).await.unwrap_err();
    assert!(
        problem.cure.contains("remove insecure = true"),
        "{problem:?}"
    );

    let alert = Stub::start("127.0.0.1", |_| {
        Reply::Bytes(b"\x15\x03\x01\0\x02\x02\x46".into())
    });
    let problem = ask(&alert.await, Scheme::Plain).await.unwrap_err();
    assert!(
        problem.cure.contains("remove insecure = true"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    install_provider();
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let chain = vec![key.cert.der().clone()];
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, secret.unwrap())
        .unwrap();
    let stub = Stub::start_tls("127.0.0.1", tls.into(), |_| http("200 OK", &[], "")).await;
    let problem = ask(&stub, Scheme::Tls).await.unwrap_err();
    assert!(
        problem.what.contains("invalid peer certificate"),
        "{problem:?}"
    );
    assert!(
        problem.cure.contains("present a certificate"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn a_token_server_is_asked_for_the_repository_with_our_credentials() {
    let (registry, mut tokens) = registry_with_token_server().await;
    let host = registry.address.to_string();
    let image: ImageRef = format!("{host}/team/web:v1").parse().unwrap();
    let other: ImageRef = format!("{host}/team/web:v2").parse().unwrap();
    let registries = Registries::new(&declared(&host, "robot", "pw"), None);

    let resolved = registries
        .resolve(&BTreeSet::from([image.clone(), other.clone()]))
        .await;

    assert_eq!(resolved[&image], Ok(hash(ODD_INDEX)));
    assert_eq!(resolved[&other], Ok(hash(ODD_INDEX)));
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1, "one token a repository: {asked:?}");
    assert!(
        asked[0].starts_with("GET /token?service=stub&scope=repository%3Ateam%2Fweb%3Apull "),
        "{asked:?}"
    );

    let wrong = Registries::new(&declared(&host, "robot", "wrong"), None);
    let problem = wrong.ping(&host).await.unwrap_err();
    assert!(
        problem.what.contains("not let in (HTTP 401)"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn an_identity_token_buys_an_access_token() {
    let (registry, mut tokens) = registry_with_token_server().await;
    let host = registry.address.to_string();
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = format!(r#"{{"auths":{{"{host}":{{"identitytoken":"refresh-me"}}}}}}"#);
    config.as_file().write_all(text.as_bytes()).unwrap();
    let image: ImageRef = format!("{host}/web:v1").parse().unwrap();

    let registries = Registries::new(&BTreeMap::new(), Some(config.path().to_owned()));
    let resolved = registries.resolve(&BTreeSet::from([image.clone()])).await;

    assert_eq!(resolved[&image], Ok(hash(ODD_INDEX)));
    assert!(tokens.requests()[0].starts_with("POST /token "));
}

/// A registry that lets in whoever carries the token, and the token server it names.
async fn registry_with_token_server() -> (Stub, Stub) {
    let tokens = Stub::start("127.0.0.1", |head| {
        let robot = "basic cm9ib3q6chc="; // robot:pw, in lower case
        let lower = head.to_ascii_lowercase();
        match lower.contains(robot) || lower.starts_with("post") {
            true => http("200 OK", &[], r#"{"access_token":"t0ken"}"#),
            false => http("401 Unauthorized", &[], ""),
        }
    })
    .await;
    let challenge = format!(
        r#"WWW-Authenticate: Bearer realm="http://{}/token",service="stub""#,
        tokens.address
    );
    let registry = Stub::start("127.0.0.1", move |head| {
        match head.to_ascii_lowercase().contains("bearer t0ken") {
            true => http("200 OK", &[], ODD_INDEX),
            false => http("401 Unauthorized", &[&challenge], ""),
        }
    })
    .await;
    (registry, tokens)
}

async fn resolve_one(stub: &Stub, image: &str) -> Result<Digest, Problem> {
    resolve_at(stub.address, image).await
}

async fn resolve_at(address: SocketAddr, image: &str) -> Result<Digest, Problem> {
    install_provider();
    let image: ImageRef = format!("{address}/{image}").parse().unwrap();
    let registries = Registries::new(&BTreeMap::new(), None);
    let mut resolved = registries.resolve(&BTreeSet::from([image.clone()])).await;
    resolved.remove(&image).unwrap()
}

async fn ask(stub: &Stub, scheme: Scheme) -> Result<Digest, Problem> {
    let host = stub.address.to_string();
    let image: ImageRef = format!("{host}/web:v1").parse().unwrap();
    let session = Session::open(&host, scheme, Credentials::None)?;
    session.digest(&image, &mut None).await
}

pub(super) fn declared(host: &str, username: &str, password: &str) -> BTreeMap<String, Registry> {
    let registry = Registry {
        credentials: Some((username.to_owned(), password.into())),
        is_insecure: false,
    };
    BTreeMap::from([(host.to_owned(), registry)])
}

pub(super) fn hash(manifest: &str) -> Digest {
    use sha2::Digest as _;
    let hex = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(manifest));
    format!("sha256:{hex}").parse().unwrap()
}

pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

pub(super) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

/// A docker-registry on a free port, gone with the test.
pub(crate) struct RealRegistry {
    pub(super) host: String,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl RealRegistry {
    pub(super) fn start_with_user(username: &str, password: &str) -> RealRegistry {
        let output = Command::new("htpasswd")
            .args(["-Bbn", username, password])
            .output()
            .expect("htpasswd is needed: apt-get install apache2-utils");
        assert!(output.status.success(), "{output:?}");
        RealRegistry::start_with(Some(&output.stdout))
    }

    pub(super) fn start() -> RealRegistry {
        RealRegistry::start_with(None)
    }

    fn start_with(htpasswd: Option<&[u8]>) -> RealRegistry {
        let dir = tempfile::tempdir().unwrap();
        let mut auth = String::new();
        if let Some(htpasswd) = htpasswd {
            let path = dir.path().join("htpasswd");
            std::fs::write(&path, htpasswd).unwrap();
            let path = path.display();
            auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {path}\n");
        }
        RealRegistry::serve(dir, &auth, false)
    }

    /// With these lines about who is let in.
    pub(crate) fn serve(dir: tempfile::TempDir, auth: &str, deletes: bool) -> RealRegistry {
        install_provider();
        let address = free_address();
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
             delete:\n    enabled: {deletes}\nhttp:\n  addr: {address}\n{auth}",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let process = spawn(&config);
        wait_for(address);
        RealRegistry {
            host: address.to_string(),
            process,
            _dir: dir,
        }
    }

    /// An OCI image, an index, a Docker image and a Docker list, each with the digest that the
    /// one who pushed it computed.
    pub(crate) async fn push_all_kinds(&self, auth: &RegistryAuth) -> BTreeMap<ImageRef, Digest> {
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            ..ClientConfig::default()
        });
        let at = |name: &str, tag: &str| {
            Reference::with_tag(self.host.clone(), name.to_owned(), tag.to_owned())
        };
        let layer = b"layer".to_vec();
        let layers = [ImageLayer::new(
            layer.clone(),
            "application/vnd.oci.image.layer.v1.tar".to_owned(),
            None,
        )];
        let config = Config::new(b"{}".to_vec(), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
        client
            .push(&at("web", "oci"), &layers, config, auth, None)
            .await
            .unwrap();
        let digest = client
            .fetch_manifest_digest(&at("web", "oci"), auth)
            .await
            .unwrap();
        let mut pushed = BTreeMap::from([(self.image("web:oci"), digest.parse().unwrap())]);

        let docker_image = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"digest":"{}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":5,"digest":"{}"}}]}}"#,
            hash("{}"),
            hash("layer")
        );
        let docker_list = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#;
        let kinds = [
            (
                "index",
                "application/vnd.oci.image.index.v1+json",
                ODD_INDEX,
            ),
            (
                "docker",
                "application/vnd.docker.distribution.manifest.v2+json",
                &docker_image,
            ),
            (
                "list",
                "application/vnd.docker.distribution.manifest.list.v2+json",
                docker_list,
            ),
        ];
        for (tag, media_type, manifest) in kinds {
            let media_type = media_type.parse().unwrap();
            client
                .push_manifest_raw(&at("web", tag), manifest.to_owned(), media_type)
                .await
                .unwrap();
            pushed.insert(self.image(&format!("web:{tag}")), hash(manifest));
        }
        pushed
    }

    pub(crate) fn image(&self, name: &str) -> ImageRef {
        format!("{}/{name}", self.host).parse().unwrap()
    }
}

fn spawn(config: &Path) -> Child {
    Command::new("docker-registry")
        .arg("serve")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("docker-registry is needed: apt-get install docker-registry")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real server, waited for in real time"
)]
fn wait_for(address: SocketAddr) {
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("docker-registry does not listen on {address} after 10 s");
}
