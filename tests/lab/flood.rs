//! A flood on the API: idle connections by the thousand, others that send one byte a second, and
//! requests that mean nothing, from inside the lab's network.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::inspect::block_on;

/// What comes in, until the process is killed.
#[derive(clap::Args)]
pub struct Args {
    address: SocketAddr,
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    #[arg(long, default_value_t = 50)]
    slow: usize,
    /// Requests a second
    #[arg(long, default_value_t = 100)]
    junk: u64,
}

/// Floods, and says so once the idle connections are made.
pub fn run(args: &Args) -> Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).context("failed to raise the limit of open files")?;
    block_on(async {
        for _ in 0..args.slow {
            tokio::spawn(drip(args.address));
        }
        let (address, pause) = (args.address, Duration::from_millis(1000 / args.junk.max(1)));
        tokio::spawn(async move {
            loop {
                tokio::spawn(junk(address));
                tokio::time::sleep(pause).await;
            }
        });
        let mut idle = Vec::with_capacity(args.idle);
        for n in 0..args.idle {
            if let Ok(stream) = TcpStream::connect(args.address).await {
                idle.push(stream);
            }
            // Others are to have their share of this thread.
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        println!("{} connections were made", idle.len());
        // Those that had to make room come again.
        loop {
            for stream in &mut idle {
                let mut byte = [0];
                let is_gone = matches!(stream.try_read(&mut byte), Ok(0) | Err(_));
                if is_gone && let Ok(again) = TcpStream::connect(args.address).await {
                    *stream = again;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
}

async fn drip(address: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            while stream.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn junk(address: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let body = "x".repeat(2000);
    let request = format!(
        "POST /v1/rebuild HTTP/1.1\r\nhost: x\r\nauthorization: Bearer cleanslate_junk\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let mut answer = [0; 1024];
        // Whatever it says: it came.
        drop(tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await);
    }
}
