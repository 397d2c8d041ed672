//! Images of a lab as tests ask for them: pushed, tagged, by digest.

use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Context, Result};

use super::kind::ImageKind;
use crate::lab::Lab;
use crate::lab::spec::REGISTRY;

/// An image to be pushed: what it does, where it goes, and the version that it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub kind: ImageKind,
    pub repository: String,
    pub tag: String,
    pub version: String,
}

impl Push {
    /// An image whose version is its tag.
    pub fn new(kind: ImageKind, repository: &str, tag: &str) -> Self {
        let (tag, repository) = (tag.to_owned(), repository.to_owned());
        Self {
            kind,
            repository,
            version: tag.clone(),
            tag,
        }
    }

    /// The same under a version that its tag does not say.
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }
}

impl Lab {
    /// Pushes an image of this kind to the kind's repository, under `tag`, which is also the
    /// version that it answers with; returns the digest.
    pub fn push(&self, kind: ImageKind, tag: &str) -> Result<String> {
        self.push_as(&Push::new(kind, kind.repository(), tag))
    }

    /// Pushes an image to a repository, tag and version of one's own choice.
    pub fn push_as(&self, image: &Push) -> Result<String> {
        let digests = self.push_all(std::slice::from_ref(image))?;
        digests
            .into_iter()
            .next()
            .context("lab push printed no digest")
    }

    /// Pushes several with one process; their digests, in order.
    pub fn push_all(&self, images: &[Push]) -> Result<Vec<String>> {
        let images: Vec<_> = images.iter().map(ToString::to_string).collect();
        let mut args = vec!["push"];
        args.extend(images.iter().map(String::as_str));
        Ok(self
            .lab_in_core(&args)?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// Points the tag `to` at what `from` (a tag or a digest) names; returns the digest.
    pub fn retag(&self, repository: &str, from: &str, to: &str) -> Result<String> {
        Ok(self
            .lab_in_core(&["retag", repository, from, to])?
            .trim()
            .to_owned())
    }

    /// The digest that a tag points at.
    pub fn digest(&self, repository: &str, tag: &str) -> Result<String> {
        Ok(self
            .lab_in_core(&["digest", repository, tag])?
            .trim()
            .to_owned())
    }

    /// An image reference as Compose files of the lab's fleet write it.
    pub fn image(&self, repository: &str, tag: &str) -> String {
        format!("{REGISTRY}/{repository}:{tag}")
    }
}

/// `KIND=REPOSITORY:TAG@VERSION`, as `lab push` takes it.
impl Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}={}:{}@{}",
            self.kind, self.repository, self.tag, self.version
        )
    }
}

impl FromStr for Push {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (kind, rest) = text.split_once('=')?;
            let (rest, version) = rest.split_once('@')?;
            let (repository, tag) = rest.split_once(':')?;
            Some((kind, repository, tag, version))
        };
        let (kind, repository, tag, version) =
            parts().with_context(|| format!("\"{text}\" is not KIND=REPOSITORY:TAG@VERSION"))?;
        Ok(Self::new(kind.parse()?, repository, tag).version(version))
    }
}
