//! Tags are removed at a real docker-registry that deletes and at one that does not, and at stubs for
//! what others answer.
use std::collections::BTreeMap;

use oci_client::secrets::RegistryAuth;

use super::manifest::Manifest;
use super::tests::{RealRegistry, declared, hash};
use super::{Registries, Removal};
use crate::model::image::{Digest, ImageRef};
use crate::probe::stub::{Stub, http};

#[tokio::test]
async fn a_tag_goes_and_every_other_tag_of_its_manifest_stays() {
    let (server, registries, pushed) = registry(true).await;
    for (image, digest) in &pushed {
        let manifest = registries.manifest(image).await.unwrap();
        let kept = server.image("web:release-v1.11.23.1");
        registries.put(&kept, &manifest).await.unwrap();
        let removed = registries.remove_tag(&kept, digest).await;
        assert_eq!(removed, Ok(Removal::Gone), "{image}");
        assert_eq!(registries.named(&kept).await, Ok(None));
        assert_eq!(registries.manifest(image).await, Ok(manifest), "{image}");
        // Again: it is gone.
        let removed = registries.remove_tag(&kept, digest).await;
        assert_eq!(removed, Ok(Removal::Gone));
    }
    let stand_in = Manifest::stand_in(&server.image("web:release-v1.11.23.1"));
    let left = at(&server.image("web:x"), stand_in.digest());
    assert_eq!(
        registries.named(&left).await,
        Ok(None),
        "the stand-in stays"
    );
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_keeps_the_tag_as_it_was() {
    let (server, registries, pushed) = registry(false).await;
    let (image, digest) = pushed.first_key_value().unwrap();
    let manifest = registries.manifest(image).await.unwrap();
    let kept = server.image("web:release-v1.11.23.1");
    registries.put(&kept, &manifest).await.unwrap();
    let removed = registries.remove_tag(&kept, digest).await;
    let Ok(Removal::Unsupported(problem)) = removed else {
        panic!("{removed:?}");
    };
    assert!(problem.what.contains("does not delete"), "{problem:?}");
    assert!(problem.cure.contains("enabled: true"), "{problem:?}");
    assert_eq!(registries.manifest(&kept).await, Ok(manifest));
}

#[tokio::test]
async fn whether_tags_can_be_removed_is_asked_without_removing_any() {
    for deletes in [true, false] {
        let (_server, registries, pushed) = registry(deletes).await;
        let before = registries.resolve(&pushed.keys().cloned().collect()).await;
        let (image, _) = pushed.first_key_value().unwrap();
        let allowed = registries.may_delete(image).await;
        assert_eq!(allowed.is_ok(), deletes, "{allowed:?}");
        let after = registries.resolve(&pushed.keys().cloned().collect()).await;
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn a_tag_that_somebody_moved_is_left_to_them() {
    let (server, registries, pushed) = registry(true).await;
    let mut digests = pushed.iter();
    let (image, theirs) = digests.next().unwrap();
    let (_, ours) = digests.next().unwrap();
    let removed = registries.remove_tag(image, ours).await;
    assert_eq!(removed, Ok(Removal::Others(theirs.clone())));
    assert_eq!(registries.named(image).await, Ok(Some(theirs.clone())));
    let never = server.image("web:never");
    assert_eq!(registries.remove_tag(&never, ours).await, Ok(Removal::Gone));
}

#[tokio::test]
async fn what_was_left_off_with_the_stand_in_is_finished_or_given_back() {
    for (deletes, is_gone) in [(true, true), (false, false)] {
        let (server, registries, pushed) = registry(deletes).await;
        let (image, digest) = pushed.first_key_value().unwrap();
        let kept = server.image("web:release-v1.11.23.1");
        let stand_in = Manifest::stand_in(&kept);
        registries.put(&kept, &stand_in).await.unwrap();
        let removed = registries.remove_tag(&kept, digest).await;
        let named = registries.named(&kept).await;
        match is_gone {
            true => assert_eq!((removed, named), (Ok(Removal::Gone), Ok(None))),
            false => {
                assert!(
                    matches!(removed, Ok(Removal::Unsupported(_))),
                    "{removed:?}"
                );
                assert_eq!(named, Ok(Some(digest.clone())));
            }
        }
        assert_eq!(registries.named(image).await, Ok(Some(digest.clone())));
    }
}

#[tokio::test]
async fn a_user_who_may_not_delete_is_named() {
    let digest = hash("{}");
    let told = format!("Docker-Content-Digest: {digest}");
    let stub = Stub::start("127.0.0.1", move |head| match head.starts_with("DELETE") {
        true => http("403 Forbidden", &[], ""),
        false => http("200 OK", &[&told], ""),
    })
    .await;
    let host = stub.address.to_string();
    let registries = Registries::new(&declared(&host, "reader", "pw"), None);
    let image: ImageRef = format!("{host}/web:release-v1.11.23.1").parse().unwrap();
    let problem = registries.remove_tag(&image, &digest).await.unwrap_err();
    assert!(problem.what.contains("may not be deleted"), "{problem:?}");
    assert!(problem.cure.contains("delete tags"), "{problem:?}");
    assert!(!problem.is_transient);
}

#[tokio::test]
async fn a_registry_that_deletes_tags_is_asked_for_that_alone() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let is_there = Arc::new(AtomicBool::new(true));
    let digest = hash("{}");
    let told = format!("Docker-Content-Digest: {digest}");
    let mut stub = Stub::start("127.0.0.1", move |head| {
        if head.starts_with("DELETE") {
            is_there.store(false, Ordering::SeqCst);
            return http("202 Accepted", &[], "");
        }
        let none = r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;
        match is_there.load(Ordering::SeqCst) {
            true => http("200 OK", &[&told], ""),
            false => http("404 Not Found", &[], none),
        }
    })
    .await;
    let registries = Registries::new(&BTreeMap::new(), None);
    let kept = format!("{}/web:release-v1.11.23.1", stub.address);
    let removed = registries.remove_tag(&kept.parse().unwrap(), &digest).await;
    assert_eq!(removed, Ok(Removal::Gone));
    let asked = stub.requests();
    let changes: Vec<_> = asked
        .iter()
        .filter(|it| !it.starts_with("HEAD") && !it.starts_with("GET"))
        .map(|it| it.lines().next().unwrap_or_default())
        .collect();
    assert_eq!(
        changes,
        ["DELETE /v2/web/manifests/release-v1.11.23.1 HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_registry_that_says_so_and_does_not_is_told() {
    let digest = hash("{}");
    let told = format!("Docker-Content-Digest: {digest}");
    let stub = Stub::start("127.0.0.1", move |_| http("200 OK", &[&told], "")).await;
    let registries = Registries::new(&BTreeMap::new(), None);
    let kept = format!("{}/web:release-v1.11.23.1", stub.address);
    let removed = registries.remove_tag(&kept.parse().unwrap(), &digest).await;
    let problem = removed.unwrap_err();
    assert!(problem.what.contains("still has it"), "{problem:?}");
    assert!(problem.is_transient);
}

/// A real one with four images.
async fn registry(deletes: bool) -> (RealRegistry, Registries, BTreeMap<ImageRef, Digest>) {
    let server = RealRegistry::serve(tempfile::tempdir().unwrap(), "", deletes);
    let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
    (server, Registries::new(&BTreeMap::new(), None), pushed)
}

fn at(image: &ImageRef, digest: &Digest) -> ImageRef {
    image.pinned(digest).parse().unwrap()
}
