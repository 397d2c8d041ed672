//! What an image says of itself: the labels of its configuration (OCI image specification).
use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::failure::{self, Place};
use super::session::{Ask, Session};
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef, ImageVersion};

/// A manifest, or an index of manifests for several platforms.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Inner,
}

#[derive(Default, Deserialize)]
struct Inner {
    #[serde(default, rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

impl Session {
    /// The labels of the image with that digest; of one for several platforms, those of the first.
    pub(super) async fn labels(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let mut authorization = None;
        let mut manifest = self.manifest(image, digest, &mut authorization).await?;
        if let Some(first) = manifest.manifests.first() {
            let first = first.digest.clone();
            manifest = self.manifest(image, &first, &mut authorization).await?;
        }
        let Some(config) = manifest.config else {
            return Ok(BTreeMap::new());
        };
        let path = format!("{}/blobs/{}", image.repository, config.digest);
        let body = self.body(image, &path, &mut authorization).await?;
        // An artifact of another kind has another configuration, and no labels.
        let read: Configuration = serde_json::from_slice(&body).unwrap_or_default();
        Ok(read.config.labels.unwrap_or_default())
    }

    async fn manifest(
        &self,
        image: &ImageRef,
        digest: &Digest,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Manifest, Problem> {
        let image = ImageRef {
            version: ImageVersion::Digest(digest.clone()),
            ..image.clone()
        };
        let path = format!("{}/manifests/{digest}", image.repository);
        let body = self.body(&image, &path, authorization).await?;
        serde_json::from_slice(&body).map_err(|error| Problem {
            what: format!("{image}: its manifest cannot be read: {error}"),
            cure: "push the image anew".to_owned(),
            is_transient: false,
        })
    }

    /// The body of an answer below `/v2/`.
    pub(super) async fn body(
        &self,
        image: &ImageRef,
        path: &str,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Vec<u8>, Problem> {
        let place = Place::Image(image);
        let scope = format!("repository:{}:pull", image.repository);
        let asked = Ask {
            method: Method::GET,
            path,
            scope: Some(&scope),
            content: None,
        };
        let answer = self.ask(&place, asked, authorization).await?;
        match answer.status.is_success() {
            true => Ok(answer.body),
            false => Err(failure::of_answer(&place, self, &answer)),
        }
    }
}
