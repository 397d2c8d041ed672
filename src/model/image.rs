//! Images as the OCI specifications name them: reference, tag, digest.
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::Channel;

/// The hash of a manifest: an image's identity, `sha256:` and 64 hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no digest: sha256: and 64 hex digits")]
pub struct DigestError {
    text: String,
}

impl Digest {
    /// The whole digest, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits, as people compare them.
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let good = hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if good {
            Ok(Digest(text.into()))
        } else {
            Err(DigestError {
                text: text.to_owned(),
            })
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Digest, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.as_str().to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where an image comes from: `REGISTRY/REPOSITORY` and a tag or a digest. Short forms are
/// completed as Docker does: `nginx` is `docker.io/library/nginx:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Host and, where given, port.
    pub registry: String,
    pub repository: String,
    pub version: ImageVersion,
}

/// What follows the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageVersion {
    /// A movable name.
    Tag(String),
    /// The manifest itself; such an image is pinned as it is written.
    Digest(Digest),
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no image reference: {why}")]
pub struct ImageRefError {
    text: String,
    why: &'static str,
}

impl ImageRef {
    /// `REGISTRY/REPOSITORY`, without the version.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image, named by its digest.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> ImageRef {
        ImageRef {
            version: ImageVersion::Digest(digest.clone()),
            ..self.clone()
        }
    }

    /// `REGISTRY/REPOSITORY@DIGEST`.
    pub fn pinned(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.registry, self.repository)
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;
    fn from_str(text: &str) -> Result<ImageRef, ImageRefError> {
        let bad = |why| ImageRefError {
            text: text.to_owned(),
            why,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| bad("what follows @ is no digest"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (first, tail) = rest.split_once('/').unwrap_or(("", rest));
        let has_registry = first.contains('.') || first.contains(':') || first == "localhost";
        let (registry, path) = if has_registry {
            (first, tail)
        } else {
            ("docker.io", rest)
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (path, None),
        };
        if repository.is_empty() {
            return Err(bad("the repository is missing"));
        }
        let repository_character = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '/')
        };
        if !repository.chars().all(repository_character) || repository.contains("//") {
            return Err(bad(
                "a repository is written in lower case: a-z 0-9 . _ - /",
            ));
        }
        let repository = if registry == "docker.io" && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        let version = match (digest, tag) {
            (Some(digest), _) => ImageVersion::Digest(digest),
            (None, Some(tag)) if tag.parse::<Channel>().is_ok() => {
                ImageVersion::Tag(tag.to_owned())
            }
            (None, Some(_)) => return Err(bad("a tag is a-z A-Z 0-9 _ . - and at most 128 long")),
            (None, None) => ImageVersion::Tag("latest".to_owned()),
        };
        Ok(ImageRef {
            registry: registry.to_owned(),
            repository,
            version,
        })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageRefError;
    fn try_from(text: String) -> Result<ImageRef, ImageRefError> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            ImageVersion::Tag(tag) => write!(f, "{}/{}:{tag}", self.registry, self.repository),
            ImageVersion::Digest(digest) => {
                write!(f, "{}/{}@{digest}", self.registry, self.repository)
            }
        }
    }
}

/// The digest of each image reference, settled once when a rotation is planned.
pub type Pins = BTreeMap<ImageRef, Digest>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_references_are_completed_as_docker_does() {
        let full = |text: &str| text.parse::<ImageRef>().unwrap().to_string();
        assert_eq!(full("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full("me/web:v1"), "docker.io/me/web:v1");
        assert_eq!(full("10.0.0.1:5000/web"), "10.0.0.1:5000/web:latest");
        assert_eq!(full("localhost/a/b:master"), "localhost/a/b:master");
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(
            full(&format!("r.example.com/web:v1@{digest}")),
            format!("r.example.com/web@{digest}")
        );
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "UPPER/case",
            "a//b:x",
            "r.example.com/:v1",
            "web@sha256:12",
            "a:b c",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }
}
