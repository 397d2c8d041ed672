//! A server process with a folder of its own, killed when dropped.
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    dir: TempDir,
    child: Child,
}

impl Server {
    /// Writes `files` into a new folder, runs `command` there and waits until it listens.
    pub(crate) fn start(
        address: SocketAddr,
        package: &str,
        dir: TempDir,
        mut command: Command,
    ) -> Server {
        let log = fs::File::create(dir.path().join("log")).unwrap();
        command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{:?}: {error}: install {package}", command.get_program())
        });
        let server = Server {
            address,
            dir,
            child,
        };
        server.wait_until_it_listens();
        server
    }

    /// Stops it where it stands; it keeps its sockets and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        // Its threads stop one after another: until the last has, it may still answer.
        while !self.stands() {
            std::thread::yield_now();
        }
    }

    fn stands(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            // One that has ended meanwhile answers nothing either.
            let stat = fs::read_to_string(thread.path().join("stat"));
            stat.map_or(true, |stat| stat.contains(") T "))
        })
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    fn wait_until_it_listens(&self) {
        let since = now();
        while TcpStream::connect(self.address).is_err() {
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(since.elapsed() < Duration::from_secs(10), "{}", log());
            pause();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it was killed");
    }
}

/// A port of 127.0.0.1 that is free over TCP and UDP.
pub(super) fn free_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a real server is waited for")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a real server is waited for")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
