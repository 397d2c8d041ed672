//! A result that is a file: whole or not at all, or to stdout.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Writes it to `path`; `-` is stdout. A file that is there is replaced at once: whoever reads it
/// meanwhile has the old one or the new one.
pub(crate) fn write(output: &Output, path: &Path, text: &str) -> Result<(), Failure> {
    if is_stdout(path) {
        output.result(text.trim_end());
        return Ok(());
    }
    put(path, text).map_err(|error| {
        let what = format!("cannot write {}: {error}", path.display());
        let cure =
            "name a file in a folder that is there and that this user may write to; - is stdout";
        Failure::new(Exit::Usage, what, cure)
    })
}

pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    match fs::metadata(path) {
        // A pipe or a device is written to: a file in its place is not what was asked for.
        Ok(found) if !found.is_file() => return fs::write(path, text),
        // Where it is a link, what it leads to is replaced.
        Ok(_) => return replace(&fs::canonicalize(path)?, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    replace(path, text)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name();
    let name = name.ok_or_else(|| io::Error::other("it names no file"))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(part);
    let (half, mut file) = Half::make(part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half.0, path)
}

/// The file while it is being written; gone again where it is not finished.
struct Half(PathBuf);

impl Half {
    fn make(path: PathBuf) -> io::Result<(Half, File)> {
        let mut new = OpenOptions::new();
        let file = new.write(true).create_new(true).open(&path)?;
        Ok((Half(path), file))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // After the rename there is nothing of that name; else half a file is nobody's loss.
        drop(fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        put(&path, "old").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        put(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_said_and_leaves_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(put(folder.path(), "x").is_err(), "a folder");
        assert!(put(&folder.path().join("none/a.svg"), "x").is_err());
        assert!(put(Path::new("/"), "x").is_err());
        put(Path::new("/dev/null"), "x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file(), "still there");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
