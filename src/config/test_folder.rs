//! A folder with a configuration that holds, for tests to spoil.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::load::{Loaded, Options, load};

const KEY: &str = "key \"edge\" { algorithm hmac-sha256; secret \"aHVudGVyMg==\"; };\n";

pub(crate) const SITE: &str = r#"[fleet]
name = "edge"
compose = "compose.yaml"

[dns]
server = "10.0.0.53"
zone = "example.com."
records = ["www.example.com."]
ttl = "30s"
key = { file = "tsig.key" }

[[probe]]
name = "front"
http = "http://{address}/"

[traffic]
engine = true

[site.fra]
addresses = ["192.0.2.10"]
hosts = ["tcp://10.1.0.1:2375"]

[site.nyc]
addresses = ["198.51.100.7"]
hosts = ["tcp://10.2.0.1:2375"]

[site.sin]
addresses = ["203.0.113.5"]
hosts = ["tcp://10.3.0.1:2375"]
"#;

const COMPOSE: &str = "name: edge\nservices:\n  web:\n    image: web:${CHANNEL}\n";

/// Gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("site.toml", SITE);
        folder.write("compose.yaml", COMPOSE);
        folder.write("tsig.key", KEY);
        folder.chmod("tsig.key", 0o600);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn site(&self) -> PathBuf {
        self.path().join("site.toml")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path().join(name), permissions).unwrap();
    }

    /// Replaces texts of `site.toml`; each must be there.
    pub(crate) fn change(&self, changes: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.site()).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from:?} is not in site.toml");
            text = text.replacen(from, to, 1);
        }
        self.write("site.toml", text);
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            base: self.path().to_owned(),
            ..Options::default()
        }
    }

    pub(crate) fn loaded(&self) -> Loaded {
        match load(&self.site(), &self.options()) {
            Ok(loaded) => loaded,
            Err(report) => panic!("{report}"),
        }
    }

    /// What people read of a configuration that is wrong.
    pub(crate) fn refused(&self) -> String {
        match load(&self.site(), &self.options()) {
            Ok(_) => panic!("the configuration was taken"),
            Err(report) => report.to_string(),
        }
    }
}
