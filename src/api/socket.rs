//! The control socket: a file, and who may connect to it.
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};

use super::http::{Front, serve_socket};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another process answers on {}", path.display())]
    Answered { path: PathBuf },
    #[error("{} is there and is no socket; move it away", path.display())]
    NoSocket { path: PathBuf },
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// A socket that only this user, and root, can speak to. It goes when this does.
#[derive(Debug)]
pub struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`. One left behind by a process that died is replaced; the store's lock
    /// keeps two processes from doing this at once.
    ///
    /// # Errors
    /// Somebody answers there, or the file system refuses.
    pub async fn bind(path: &Path) -> Result<Socket, SocketError> {
        refuse_if_taken(path).await?;
        // Under another name first, so that nobody can connect before the permissions are set.
        let new = path.with_extension("new");
        let at = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| SocketError::File {
                doing,
                path,
                source,
            }
        };
        if let Err(source) = std::fs::remove_file(&new)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(at("remove", &new)(source));
        }
        let listener = UnixListener::bind(&new).map_err(at("listen on", &new))?;
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600))
            .and_then(|()| std::fs::rename(&new, path))
            .map_err(at("make", path))?;
        Ok(Socket {
            listener: Some(listener),
            path: path.to_owned(),
        })
    }

    /// Takes requests until nobody answers them any more.
    pub async fn serve(mut self, front: Arc<Front>) {
        if let Some(listener) = self.listener.take() {
            serve_socket(listener, front).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

/// Somebody who answers, or something that is no socket, is left alone; a socket on which nobody
/// answers was left behind, and may be replaced.
async fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    let path_owned = || path.to_owned();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(SocketError::File {
                doing: "look at",
                path: path_owned(),
                source,
            });
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NoSocket { path: path_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Any other answer, "busy" among them, comes from a process that listens.
        Ok(_) | Err(_) => Err(SocketError::Answered { path: path_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::client::Client;
    use super::*;

    #[tokio::test]
    async fn only_this_user_may_connect_and_the_socket_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let socket = Socket::bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let (asked, questions) = mpsc::channel(1);
        let task = tokio::spawn(socket.serve(Front::new(asked, dir.path())));
        assert!(Client::connect(&path).await.unwrap().is_some());
        drop(questions);
        task.await.unwrap();
        assert!(!path.exists());
        assert!(Client::connect(&path).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_that_answers_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(Client::connect(&path).await.unwrap().is_none());
        let _socket = Socket::bind(&path).await.unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
        let refused = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(refused, SocketError::Answered { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        let refused = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(refused, SocketError::NoSocket { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
