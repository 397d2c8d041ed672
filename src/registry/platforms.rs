//! What an image can run on: its index lists it, or its configuration says so (OCI image
//! specification).
use std::collections::BTreeSet;

use serde::Deserialize;

use super::Registries;
use super::resolve::canonical;
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef};

/// A manifest, or an index of manifests for several platforms.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Config>,
    #[serde(default)]
    manifests: Vec<Listed>,
}

#[derive(Deserialize)]
struct Config {
    digest: Digest,
}

#[derive(Deserialize)]
struct Listed {
    platform: Option<Platform>,
}

/// Of an index's entry, and of a configuration alike.
#[derive(Default, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Platform {
    /// `linux/amd64`; `None` where it is not said. Attestations are listed as `unknown`.
    fn name(&self) -> Option<String> {
        let is_said = |text: &str| !text.is_empty() && text != "unknown";
        let both = is_said(&self.os) && is_said(&self.architecture);
        both.then(|| format!("{}/{}", self.os, self.architecture))
    }
}

impl Registries {
    /// The platforms of the image with that digest, `linux/amd64` and the like; empty where it does
    /// not say.
    ///
    /// # Errors
    /// Why the registry does not tell.
    pub async fn platforms(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<BTreeSet<String>, Problem> {
        let session = self.open(canonical(&image.registry)).await?;
        let mut authorization = None;
        let path = format!("{}/manifests/{digest}", image.repository);
        let body = session.body(image, &path, &mut authorization).await?;
        let manifest: Manifest = serde_json::from_slice(&body).map_err(|error| Problem {
            what: format!("{image}: its manifest cannot be read: {error}"),
            cure: "push the image anew".to_owned(),
            is_transient: false,
        })?;
        let Some(config) = manifest.config else {
            let listed = manifest.manifests.iter();
            let listed = listed.filter_map(|listed| listed.platform.as_ref()?.name());
            return Ok(listed.collect());
        };
        let path = format!("{}/blobs/{}", image.repository, config.digest);
        let body = session.body(image, &path, &mut authorization).await?;
        // An artifact of another kind has another configuration, and no platform.
        let platform: Platform = serde_json::from_slice(&body).unwrap_or_default();
        Ok(platform.name().into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use oci_client::Reference;
    use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_client::manifest::IMAGE_CONFIG_MEDIA_TYPE;
    use oci_client::secrets::RegistryAuth;

    use super::*;
    use crate::registry::tests::RealRegistry;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    #[tokio::test]
    async fn an_image_says_what_it_runs_on_itself_or_in_its_index() {
        let server = RealRegistry::serve(tempfile::tempdir().unwrap(), "", false);
        let image = server.image("web:one");
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::Http,
            ..ClientConfig::default()
        });
        let at = |tag: &str| Reference::with_tag(image.registry.clone(), "web".into(), tag.into());
        let push = async |tag: &str, config: &str| {
            let kind = "application/vnd.oci.image.layer.v1.tar".to_owned();
            let layers = [ImageLayer::new(b"layer".to_vec(), kind, None)];
            let config = config.as_bytes().to_vec();
            let config = Config::new(config, IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
            let auth = RegistryAuth::Anonymous;
            client
                .push(&at(tag), &layers, config, &auth, None)
                .await
                .unwrap();
            client.fetch_manifest_digest(&at(tag), &auth).await.unwrap()
        };
        let arm = push("one", r#"{"os":"linux","architecture":"arm64"}"#).await;
        push("silent", "{}").await;
        let listed = |architecture: &str| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{arm}","size":1,"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
            )
        };
        let attestation = listed("unknown").replace("linux", "unknown");
        let all = [listed("amd64"), listed("arm64"), attestation].join(",");
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{all}]}}"#);
        let kind = INDEX.parse().unwrap();
        client
            .push_manifest_raw(&at("both"), index, kind)
            .await
            .unwrap();

        let registries = Registries::new(&[].into(), None);
        for (tag, expected) in [
            ("one", vec!["linux/arm64"]),
            ("both", vec!["linux/amd64", "linux/arm64"]),
            ("silent", vec![]),
        ] {
            let image = server.image(&format!("web:{tag}"));
            let digest = registries.named(&image).await.unwrap().unwrap();
            let found = registries.platforms(&image, &digest).await.unwrap();
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            assert_eq!(found, expected, "{tag}");
        }
    }
}
