//! Who asks: the user and the process at the other end of the socket, as the kernel tells them, or
//! the owner of a token.
use std::fmt;
use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use crate::model::way::Way;

/// Who asked for something, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user: String,
    /// `None` where the system does not tell.
    pub pid: Option<u32>,
    pub way: Way,
}

impl Actor {
    /// Who is at the other end: nothing that the other end said, but what the kernel knows.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn of(stream: &UnixStream) -> io::Result<Actor> {
        let peer = stream.peer_cred()?;
        Ok(Actor {
            user: user_name(peer.uid()),
            pid: peer.pid().and_then(|pid| u32::try_from(pid).ok()),
            way: Way::Socket,
        })
    }

    /// The owner of a token.
    pub fn of_token(name: &str) -> Actor {
        Actor {
            user: format!("token {name}"),
            pid: None,
            way: Way::Token,
        }
    }

    /// This process and its user. Needs a runtime.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn own() -> io::Result<Actor> {
        let (end, _other) = UnixStream::pair()?;
        Ok(Actor {
            pid: Some(std::process::id()),
            way: Way::Program,
            ..Actor::of(&end)?
        })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{} (process {pid})", self.user),
            None => f.write_str(&self.user),
        }
    }
}

/// The user's name, or `uid N` where `/etc/passwd` has none: users of a directory service.
fn user_name(uid: u32) -> String {
    std::fs::read_to_string(Path::new("/etc/passwd"))
        .ok()
        .and_then(|passwd| name_in(&passwd, uid))
        .unwrap_or_else(|| format!("uid {uid}"))
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(uid.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number_only() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n+\n\n:x:7:\nops:x:1000:7::/home/ops:/bin/sh";
        assert_eq!(name_in(passwd, 0), Some("root".to_owned()));
        assert_eq!(name_in(passwd, 1000), Some("ops".to_owned()));
        assert_eq!(name_in(passwd, 7), None, "a group, and a line without name");
        assert_eq!(user_name(u32::MAX - 3), "uid 4294967292");
    }

    #[tokio::test]
    async fn the_kernel_tells_who_is_at_the_other_end() {
        let actor = Actor::own().unwrap();
        assert_eq!(actor.pid, Some(std::process::id()));
        let (end, _other) = UnixStream::pair().unwrap();
        let way = Way::Program;
        assert_eq!(
            Actor {
                way,
                ..Actor::of(&end).unwrap()
            },
            actor
        );
    }
}
