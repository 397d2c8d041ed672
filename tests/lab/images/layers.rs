//! The layers: one with programs, made once a machine, and a small one for each version.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kind::ImageKind;
use crate::lab::ground::program::{find, run};
use crate::lab::ground::teardown;

/// nginx answers from memory and logs nothing: what is measured is the fleet, not the disk.
const NGINX_CONF: &str = r#"daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  default_type text/plain;
  keepalive_timeout 30s;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server {
    listen 80 backlog=1024;
    listen [::]:80 backlog=1024;
    location / { return @CODE@ "version=@VERSION@ site=@SITE@ host=@HOST@\n"; }
    location /healthz { return @CODE@ "ok\n"; }
    location /slow { limit_rate 1k; root /; try_files /slow.txt =404; }
  }
}
"#;

/// The layer with nginx, the libraries that it is linked to, and busybox, as a tar.
pub fn programs() -> Result<Vec<u8>> {
    let nginx = find("nginx").context("no nginx: run tests/lab/install.sh")?;
    let busybox = find("busybox").context("no busybox: run tests/lab/install.sh")?;
    let cached = cache_path(&[&nginx, &busybox])?;
    if let Ok(tar) = std::fs::read(&cached) {
        return Ok(tar);
    }
    let tar = build_programs(&nginx, &busybox)?;
    // Written beside and renamed: several labs may come up at the same time.
    let folder = cached.parent().context("the cache has a folder")?;
    std::fs::create_dir_all(folder).context("failed to make the cache of layers")?;
    let new = cached.with_extension(format!("{}.new", std::process::id()));
    File::create(&new)
        .and_then(|mut file| file.write_all(&tar))
        .context("failed to cache")?;
    std::fs::rename(&new, &cached).context("failed to cache the layer of programs")?;
    Ok(tar)
}

/// The layer that differs from version to version, as a tar.
pub fn version(kind: ImageKind, version: &str) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    add(
        &mut tar,
        "version",
        format!("{version}\n").as_bytes(),
        0o644,
    )?;
    add(&mut tar, "start", kind.script().as_bytes(), 0o755)?;
    tar.into_inner().context("failed to close the layer")
}

/// Named after what went in, so that another nginx means another layer.
fn cache_path(programs: &[&Path]) -> Result<PathBuf> {
    let mut key = data_encoding::HEXLOWER.encode(&sha(NGINX_CONF.as_bytes())[..4]);
    for program in programs {
        let metadata = program.metadata().context("failed to look at a program")?;
        let modified = metadata
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        key.push_str(&format!("-{:x}-{modified:x}", metadata.len()));
    }
    Ok(teardown::base()
        .join("cache")
        .join(format!("programs-{key}.tar")))
}

fn sha(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

fn build_programs(nginx: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in [
        "bin",
        "etc",
        "tmp",
        "data",
        "proc",
        "sys",
        "dev",
        "var",
        "var/log",
        "var/log/nginx",
    ] {
        let mut header = header(0, if folder == "tmp" { 0o1777 } else { 0o755 });
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, folder, std::io::empty())?;
    }
    add(
        &mut tar,
        "etc/passwd",
        b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        0o644,
    )?;
    add(
        &mut tar,
        "etc/group",
        b"root:x:0:\nnogroup:x:65534:\n",
        0o644,
    )?;
    add(&mut tar, "nginx.conf", NGINX_CONF.as_bytes(), 0o644)?;
    add(&mut tar, "slow.txt", "slow\n".repeat(600).as_bytes(), 0o644)?;
    add(&mut tar, "nginx", &std::fs::read(nginx)?, 0o755)?;
    for library in libraries(nginx)? {
        let bytes = std::fs::read(&library).with_context(|| format!("failed to read {library}"))?;
        add(&mut tar, library.trim_start_matches('/'), &bytes, 0o755)?;
    }
    add(&mut tar, "bin/busybox", &std::fs::read(busybox)?, 0o755)?;
    for applet in [
        "sh", "sed", "cat", "echo", "sleep", "kill", "wget", "false", "true", "ls", "ps",
    ] {
        let mut header = header(0, 0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    tar.into_inner()
        .context("failed to close the layer of programs")
}

/// The libraries that the dynamic linker would load, and the linker itself.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let listed = run(&["ldd", &program.display().to_string()])?;
    let paths = listed.lines().filter_map(|line| {
        let path = line.split("=>").last()?.split_whitespace().next()?;
        path.starts_with('/').then(|| path.to_owned())
    });
    Ok(paths.collect())
}

/// No times and no owners: the same files make the same digest everywhere.
fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let mut header = header(bytes.len() as u64, mode);
    tar.append_data(&mut header, path, bytes)
        .with_context(|| format!("failed to add {path}"))
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}
