//! Tags are moved at a real docker-registry, through a proxy that fails, and at a stub for the rest.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oci_client::secrets::RegistryAuth;
use rcgen::SigningKey as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{ODD_INDEX, RealRegistry, declared, free_address, hash, install_provider};
use super::{FetchError, PutError, Registries};
use crate::model::image::{Digest, ImageRef};
use crate::probe::stub::{Stub, http};

#[tokio::test]
async fn a_manifest_of_every_kind_is_moved_byte_for_byte_whether_deletes_are_on_or_off() {
    for deletes in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let server = RealRegistry::serve(dir, "", deletes);
        let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
        assert_eq!(pushed.len(), 4);
        let registries = Registries::new(&BTreeMap::new(), None);
        let moving = server.image("web:moving");
        assert_eq!(registries.named(&moving).await, Ok(None), "no such tag yet");
        for (image, digest) in &pushed {
            moved(&registries, image, &moving, digest).await;
        }
    }
}

#[tokio::test]
async fn a_user_of_htpasswd_moves_a_tag_and_a_wrong_password_is_told_as_one_that_may_not_push() {
    let server = RealRegistry::start_with_user("robot", "s3cret");
    let right = RegistryAuth::Basic("robot".to_owned(), "s3cret".to_owned());
    let pushed = server.push_all_kinds(&right).await;
    let registries = Registries::new(&declared(&server.host, "robot", "s3cret"), None);
    let moving = server.image("web:moving");
    for (image, digest) in &pushed {
        moved(&registries, image, &moving, digest).await;
    }
    let manifest = registries.manifest(&moving).await.unwrap();
    let wrong = Registries::new(&declared(&server.host, "robot", "hunter2"), None);
    let PutError::NotDone { problem, .. } = wrong.put(&moving, &manifest).await.unwrap_err() else {
        panic!("it was not let in");
    };
    assert!(problem.what.contains("may not be pushed"), "{problem:?}");
    assert!(
        problem.cure.contains("push to the repository"),
        "{problem:?}"
    );
    assert!(!problem.is_transient);
}

#[tokio::test]
async fn a_token_for_pull_and_push_moves_a_tag_and_one_for_pull_alone_does_not() {
    let (server, mut tokens) = with_token_server().await;
    let robot = RegistryAuth::Basic("robot".to_owned(), "pw".to_owned());
    let pushed = server.push_all_kinds(&robot).await;
    let registries = Registries::new(&declared(&server.host, "robot", "pw"), None);
    let moving = server.image("web:moving");
    tokens.requests();
    for (image, digest) in &pushed {
        moved(&registries, image, &moving, digest).await;
    }
    let asked = tokens.requests();
    let wide = "scope=repository%3Aweb%3Apull%2Cpush";
    assert_eq!(asked.iter().filter(|it| it.contains(wide)).count(), 4);

    let manifest = registries.manifest(&moving).await.unwrap();
    let reader = Registries::new(&declared(&server.host, "reader", "pw"), None);
    let refused = reader.put(&moving, &manifest).await.unwrap_err();
    let PutError::NotDone { problem, .. } = refused else {
        panic!("{refused:?}");
    };
    assert!(problem.what.contains("may not be pushed"), "{problem:?}");
}

#[tokio::test]
async fn a_500_is_unknown_and_what_the_tag_names_then_says_whether_it_was_done() {
    for (is_passed_on, expected) in [(false, None), (true, Some(hash(ODD_INDEX)))] {
        let server = RealRegistry::start();
        server.push_all_kinds(&RegistryAuth::Anonymous).await;
        let upstream = server.host.parse().unwrap();
        let proxy = FaultyProxy::before(upstream, is_passed_on).await;
        let registries = Registries::new(&BTreeMap::new(), None);
        let at = |tag: &str| -> ImageRef { format!("{}/web:{tag}", proxy.0).parse().unwrap() };
        let manifest = registries.manifest(&at("index")).await.unwrap();
        let put = registries.put(&at("moving"), &manifest).await;
        let Err(PutError::Unknown { problem, .. }) = put else {
            panic!("{put:?}");
        };
        assert!(problem.is_transient, "{problem:?}");
        assert_eq!(registries.named(&at("moving")).await, Ok(expected));
        // The next one is passed on and answered: the same bytes are put as often as one likes.
        registries.put(&at("moving"), &manifest).await.unwrap();
        let named = registries.named(&at("moving")).await;
        assert_eq!(named, Ok(Some(hash(ODD_INDEX))));
    }
}

#[tokio::test]
async fn what_a_registry_lacks_is_gone_and_a_manifest_without_its_parts_is_not_taken() {
    let server = RealRegistry::start();
    let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
    let registries = Registries::new(&BTreeMap::new(), None);
    let absent = format!("{}/web@sha256:{}", server.host, "0a".repeat(32));
    let gone = registries.manifest(&absent.parse().unwrap()).await;
    assert!(matches!(gone, Err(FetchError::Gone(_))), "{gone:?}");

    let oci = server.image("web:oci");
    assert!(pushed.contains_key(&oci));
    let manifest = registries.manifest(&oci).await.unwrap();
    let elsewhere = server.image("other:moving");
    let refused = registries.put(&elsewhere, &manifest).await.unwrap_err();
    let PutError::NotTaken(problem) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        problem.what.contains("does not take the manifest"),
        "{problem:?}"
    );
    assert!(!problem.is_transient);
    assert_eq!(registries.named(&elsewhere).await, Ok(None));
}

#[tokio::test]
async fn a_page_in_front_of_a_registry_does_not_say_that_a_tag_is_not_there() {
    let stub = Stub::start("127.0.0.1", |_| http("404 Not Found", &[], "<html>")).await;
    let registries = Registries::new(&BTreeMap::new(), None);
    let image: ImageRef = format!("{}/web:v1", stub.address).parse().unwrap();
    assert!(registries.named(&image).await.is_err());
    let failed = registries.manifest(&image).await;
    assert!(matches!(failed, Err(FetchError::Failed(_))), "{failed:?}");
}

#[tokio::test]
async fn a_registry_that_is_busy_read_only_gone_or_breaks_off_is_told_apart() {
    let server = RealRegistry::start();
    server.push_all_kinds(&RegistryAuth::Anonymous).await;
    let registries = Registries::new(&BTreeMap::new(), None);
    let manifest = registries.manifest(&server.image("web:oci")).await.unwrap();
    let put = async |address: SocketAddr| {
        let image: ImageRef = format!("{address}/web:v1").parse().unwrap();
        registries.put(&image, &manifest).await.unwrap_err()
    };

    let busy = Stub::start("127.0.0.1", |_| {
        http("429 Too Many Requests", &["Retry-After: 7"], "")
    });
    let busy = put(busy.await.address).await;
    let PutError::NotDone {
        problem,
        again_after,
    } = busy
    else {
        panic!("{busy:?}");
    };
    assert_eq!(again_after, Some(Duration::from_secs(7)));
    assert!(problem.is_transient, "{problem:?}");

    let mirror = Stub::start("127.0.0.1", |_| http("405 Method Not Allowed", &[], ""));
    let mirror = put(mirror.await.address).await;
    assert!(matches!(&mirror, PutError::NotDone { problem, .. } if !problem.is_transient));

    let gone = put(free_address()).await;
    assert!(matches!(gone, PutError::NotDone { .. }), "{gone:?}");

    let breaks_off = Stub::start(
        "127.0.0.1",
        |_| crate::probe::stub::Reply::Bytes(Vec::new()),
    );
    let breaks_off = put(breaks_off.await.address).await;
    assert!(
        matches!(breaks_off, PutError::Unknown { .. }),
        "{breaks_off:?}"
    );
}

/// Moves `to` to what `from` names, and finds the same bytes there.
async fn moved(registries: &Registries, from: &ImageRef, to: &ImageRef, digest: &Digest) {
    let manifest = registries.manifest(from).await.unwrap();
    assert_eq!(manifest.digest(), digest);
    registries.put(to, &manifest).await.unwrap();
    assert_eq!(registries.named(to).await, Ok(Some(digest.clone())));
    assert_eq!(registries.manifest(to).await.as_ref(), Ok(&manifest));
}

/// In front of a registry; of the first PUT of a manifest it says that it failed, whether or not
/// it was passed on.
struct FaultyProxy(SocketAddr);

impl FaultyProxy {
    async fn before(upstream: SocketAddr, is_passed_on: bool) -> FaultyProxy {
        install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let puts = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let puts = Arc::clone(&puts);
                tokio::spawn(async move { pass(client, upstream, is_passed_on, &puts).await });
            }
        });
        FaultyProxy(address)
    }
}

async fn pass(mut client: TcpStream, upstream: SocketAddr, is_passed_on: bool, puts: &AtomicUsize) {
    let request = whole(&mut client).await;
    let fails = request.starts_with(b"PUT ") && puts.fetch_add(1, Ordering::SeqCst) == 0;
    let mut answer = Vec::new();
    if !fails || is_passed_on {
        let mut server = TcpStream::connect(upstream).await.unwrap();
        let text = String::from_utf8(request).unwrap();
        let text = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        server.write_all(text.as_bytes()).await.unwrap();
        server.read_to_end(&mut answer).await.unwrap();
    }
    if fails {
        answer = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\
                   Content-Length: 0\r\n\r\n"
            .to_vec();
    }
    // The test may be over.
    drop(client.write_all(&answer).await);
}

/// A request with its body.
async fn whole(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let end = request.windows(4).position(|it| it == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if request.len() >= end + 4 + length {
                return request;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return request,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A real registry that trusts a token server, which lets `robot` pull and push, and `reader` pull.
async fn with_token_server() -> (RealRegistry, Stub) {
    install_provider();
    let issuer = rcgen::generate_simple_self_signed(["tokens".to_owned()]).unwrap();
    let pem = issuer.cert.pem();
    let issuer = Arc::new(issuer);
    let tokens = Stub::start("127.0.0.1", move |head| {
        let lower = head.to_ascii_lowercase();
        let is_robot = head.contains("cm9ib3Q6cHc=");
        let is_known = is_robot || head.contains("cmVhZGVyOnB3");
        if !is_known || !lower.starts_with("get /token?") {
            return http("401 Unauthorized", &[], "");
        }
        let repository = head
            .split("scope=repository%3A")
            .nth(1)
            .and_then(|rest| rest.split("%3A").next())
            .unwrap_or_default();
        let actions = match is_robot && head.contains("push") {
            true => r#"["pull","push"]"#,
            false => r#"["pull"]"#,
        };
        let access = match repository {
            "" => "[]".to_owned(),
            name => format!(r#"[{{"type":"repository","name":"{name}","actions":{actions}}}]"#),
        };
        let token = token(&issuer, &access);
        http("200 OK", &[], &format!(r#"{{"token":"{token}"}}"#))
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("tokens.pem");
    std::fs::write(&bundle, pem).unwrap();
    let auth = format!(
        "auth:\n  token:\n    realm: http://{}/token\n    service: registry\n    issuer: tokens\n    \
         rootcertbundle: {}\n",
        tokens.address,
        bundle.display()
    );
    (RealRegistry::serve(dir, &auth, false), tokens)
}

/// A JWT as docker-registry takes it: ES256, with the certificate that vouches for the key.
fn token(issuer: &rcgen::CertifiedKey<rcgen::KeyPair>, access: &str) -> String {
    let part = |text: &[u8]| data_encoding::BASE64URL_NOPAD.encode(text);
    let certificate = data_encoding::BASE64.encode(issuer.cert.der());
    let header = format!(r#"{{"typ":"JWT","alg":"ES256","x5c":["{certificate}"]}}"#);
    let claims = format!(
        r#"{{"iss":"tokens","sub":"robot","aud":"registry","exp":4000000000,"nbf":1000000000,"iat":1000000000,"jti":"1","access":{access}}}"#
    );
    let signed = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
    let signature = issuer.signing_key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", part(&fixed(&signature)))
}

/// An ECDSA signature in DER, as the two numbers of 32 bytes that a JWT holds.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()));
        numbers.extend_from_slice(number);
        rest = &rest[2 + length..];
    }
    numbers
}
