//! Pushing and tagging, from inside the lab's network: what `lab push` and `lab retag` do.

use anyhow::{Context, Result};
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use oci_client::secrets::RegistryAuth;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Push, layers};
use crate::lab::spec::REGISTRY;

/// What a manifest may be, so that a tag is moved without making anything of it anew.
const ANY_MANIFEST: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// Pushes one image and returns the digest of its manifest.
pub async fn push(image: &Push) -> Result<String> {
    let client = client();
    let layers = [
        layers::programs()?,
        layers::version(image.kind, &image.version)?,
    ];
    let diff_ids: Vec<_> = layers.iter().map(|tar| digest(tar)).collect();
    let config = json!({
        "architecture": image.kind.architecture(),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": image.kind.config(&image.version),
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = Config::new(
        serde_json::to_vec(&config)?,
        IMAGE_CONFIG_MEDIA_TYPE.to_owned(),
        None,
    );
    let media_type = "application/vnd.oci.image.layer.v1.tar";
    let layers: Vec<_> = layers
        .into_iter()
        .map(|tar| ImageLayer::new(tar, media_type.to_owned(), None))
        .collect();
    let reference = reference(&image.repository, &image.tag);
    client
        .push(&reference, &layers, config, &RegistryAuth::Anonymous, None)
        .await
        .with_context(|| format!("failed to push {reference}"))?;
    digest_of(&image.repository, &image.tag).await
}

/// Points `to` at what `from` (a tag or a digest) names, byte for byte; returns the digest.
pub async fn retag(repository: &str, from: &str, to: &str) -> Result<String> {
    let client = client();
    let source = if from.starts_with("sha256:") {
        Reference::with_digest(REGISTRY.to_owned(), repository.to_owned(), from.to_owned())
    } else {
        reference(repository, from)
    };
    let (raw, _) = client
        .pull_manifest_raw(&source, &RegistryAuth::Anonymous, &ANY_MANIFEST)
        .await
        .with_context(|| format!("failed to read {source}"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&raw)?;
    let media_type = manifest["mediaType"]
        .as_str()
        .unwrap_or(OCI_IMAGE_MEDIA_TYPE)
        .parse()?;
    let target = reference(repository, to);
    client
        .push_manifest_raw(&target, raw.to_vec(), media_type)
        .await
        .with_context(|| format!("failed to tag {target}"))?;
    digest_of(repository, to).await
}

/// The digest that a tag points at.
pub async fn digest_of(repository: &str, tag: &str) -> Result<String> {
    let reference = reference(repository, tag);
    client()
        .fetch_manifest_digest(&reference, &RegistryAuth::Anonymous)
        .await
        .with_context(|| format!("failed to ask for {reference}"))
}

fn reference(repository: &str, tag: &str) -> Reference {
    Reference::with_tag(REGISTRY.to_owned(), repository.to_owned(), tag.to_owned())
}

/// A client each time: one that saw a registry go away would remember its tokens and its faults.
fn client() -> Client {
    // The second call of a process returns an error, which says that it is there: fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    })
}

fn digest(bytes: &[u8]) -> String {
    format!(
        "sha256:{}",
        data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
    )
}
