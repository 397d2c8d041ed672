//! Knot: a primary with the ACL that `doctor` prints.
use std::fs;
use std::process::Command;

use super::process::{Server, free_port};
use super::zone::{ZONE, declared, secret_base64};
use crate::dns::grants;
use crate::model::fleet::Dns;

/// Starts Knot DNS; needs the Debian package knot.
pub(crate) struct Knot;

impl Knot {
    pub(crate) fn primary() -> Server {
        Knot::primary_for(&|_| {})
    }

    /// The same for a fleet that is declared otherwise.
    pub(crate) fn primary_for(change: &dyn Fn(&mut Dns)) -> Server {
        let address = free_port();
        let mut declared = declared(address);
        change(&mut declared);
        let dir = tempfile::tempdir().unwrap();
        let conf = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {dir}\n\
             database:\n  storage: {dir}\n\
             key:\n  - id: cleanslate\n    algorithm: hmac-sha256\n    secret: {secret}\n\
             {grants}\n    storage: {dir}\n    file: zone\n    journal-content: changes\n",
            port = address.port(),
            dir = dir.path().display(),
            secret = secret_base64(),
            grants = grants(&declared).knot,
        );
        fs::write(dir.path().join("zone"), ZONE).unwrap();
        fs::write(dir.path().join("knot.conf"), conf).unwrap();
        let mut command = Command::new("knotd");
        command.args(["-c", "knot.conf"]);
        Server::start(address, "knot", dir, command)
    }
}
