//! A folder of real HTML, served as web servers do.

use crate::server::{Answer, Body, Site};
use percent_encoding::percent_decode_str;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Serves the files below one directory, and nothing else.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Serves what is below `root`.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if root.is_dir() {
            Ok(Self { root })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// The file or directory that `path` names, if it is inside the folder.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let decoded: Vec<u8> = percent_decode_str(path.trim_start_matches('/')).collect();
        let relative = Path::new(OsStr::from_bytes(&decoded));
        let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(is_plain) {
            return None;
        }
        // Only the real path tells where a symbolic link leads.
        let real = self.root.join(relative).canonicalize().ok()?;
        real.starts_with(&self.root).then_some(real)
    }

    fn read(&self, path: &str) -> io::Result<Answer> {
        let Some(found) = self.find(path) else {
            return Ok(missing());
        };
        if !fs::metadata(&found)?.is_dir() {
            return if path.ends_with('/') {
                Ok(missing())
            } else {
                file(&found)
            };
        }
        if path.ends_with('/') {
            return file(&found.join("index.html"));
        }
        // Relative links in the directory's page need the slash.
        Ok(Answer::html(301, "").with("Location", format!("/{}/", path.trim_start_matches('/'))))
    }
}

impl Site for Folder {
    fn answer(&self, target: &str) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        self.read(path).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => Answer::html(500, "<h1>Cannot read this file</h1>"),
        })
    }
}

fn file(path: &Path) -> io::Result<Answer> {
    // A look before opening: to open a named pipe would wait for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(missing());
    }
    let body = Body::File(File::open(path)?, metadata.len());
    Ok(Answer::new(200, body).with("Content-Type", content_type(path)))
}

fn missing() -> Answer {
    Answer::html(404, "<h1>Not found</h1>")
}

/// HTML gets no charset here: it is for each page to say.
fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "xhtml" => "application/xhtml+xml",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "txt" | "md" => "text/plain",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_the_folder_and_nothing_else() {
        let place = std::env::temp_dir().join(format!("crawler-folder-{}", std::process::id()));
        let root = place.join("site");
        fs::create_dir_all(root.join("guide")).unwrap();
        fs::write(place.join("secret.html"), "secret").unwrap();
        fs::write(root.join("index.html"), "home").unwrap();
        fs::write(root.join("guide/index.html"), "guide").unwrap();
        fs::write(root.join("a b%.html"), "odd name").unwrap();
        std::os::unix::fs::symlink("../secret.html", root.join("out.html")).unwrap();
        std::os::unix::fs::symlink("index.html", root.join("in.html")).unwrap();

        let folder = Folder::open(&root).unwrap();
        let status = |path| folder.answer(path).status;
        assert_eq!(
            [
                "/",
                "/index.html?x=1",
                "/guide/",
                "/a%20b%25.html",
                "/in.html"
            ]
            .map(status),
            [200; 5]
        );
        assert_eq!(
            [
                "/../secret.html",
                "/%2e%2e/secret.html",
                "/guide/../../secret.html",
                "/out.html",
                "/index.html/",
                "/%00",
                "//etc/passwd",
                "/none.html"
            ]
            .map(status),
            [404; 8]
        );
        let moved = folder.answer("/guide");
        assert_eq!((moved.status, &moved.headers[1].1[..]), (301, "/guide/"));
        fs::remove_dir_all(place).unwrap();
    }
}
