//! Holds the order of layers in `src/`: who may import whom, and which names belong to few files.
//!
//! ARCHITECTURE.md says why. A module may import what stands below it in [`LAYERS`]; modules on one
//! row do not know each other. `src/lib.rs` puts everything together and is exempt.

use std::fs;
use std::path::Path;

/// The top-level modules, from the machine upwards.
const LAYERS: &[&[&str]] = &[
    &["sys"],
    &["rt"],
    &["runtime"],
    &["time"],
    &["sync"],
    &["thread"],
    &["task", "future", "local"],
    &["fd"],
    &["net", "fs", "process", "signal"],
    &["os"],
    &["io"],
    &["server", "process_pool"],
    &["http"],
    &["guide"],
];

/// Crates that few files may name, and the beginnings of those files' paths.
const NAMES: &[(&str, &[&str])] = &[
    ("corosensei", &["src/sys/context"]),
    ("mio", &["src/rt/"]),
    ("crossbeam_deque", &["src/rt/"]),
    ("socket2", &["src/fd/", "src/net/", "src/os/"]),
    (
        "libc",
        &[
            "src/sys/",
            "src/rt/",
            "src/fd/",
            "src/io/",
            "src/net/",
            "src/os/",
            "src/signal.rs",
        ],
    ),
    ("hyper", &["src/http/server"]),
    ("rustls", &["src/http", "src/server/tls.rs"]),
    ("ureq", &["src/http"]),
    ("ureq_proto", &["src/http"]),
    ("cookie_store", &["src/http"]),
    ("postcard", &["src/process_pool/call.rs"]),
    ("serde", &["src/http", "src/process_pool"]),
];

#[test]
fn every_file_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    assert!(!files.is_empty(), "no source was found");
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            violations(name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn planted_faults_are_found() {
    for (file, text) in [
        ("src/sync/mutex.rs", "use crate::net::TcpStream;"),
        ("src/sync/mutex.rs", "use crate::{rt::park, thread};"),
        ("src/sync/mutex.rs", "use crate::sys::stack;"),
        ("src/sync/mutex.rs", "use super::super::io;"),
        ("src/sync/mutex.rs", "fn f() { crate::rt::park::park(); }"),
        ("src/sync/mutex.rs", "use crate::rt::{Reason, hub::Hub};"),
        ("src/sync/mod.rs", "mod inner { use super::super::task; }"),
        ("src/sync/mod.rs", "use crate::spawn;"),
        ("src/time.rs", "use super::net;"),
        ("src/net/tcp.rs", "use crate::fs::File;"),
        ("src/sys/stack.rs", "use crate::rt::Task;"),
        ("src/rt/hub.rs", "use corosensei::Coroutine;"),
        ("src/net/tcp.rs", "let x = ::mio::Token(1);"),
        (
            "src/thread/mod.rs",
            "fn f<'a>(x: &'a u8) { unsafe { libc::abort() } }",
        ),
        ("src/novel.rs", ""),
    ] {
        assert_eq!(violations(file, text).len(), 1, "{file}: {text}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (file, text) in [
        ("src/lib.rs", "pub use crate::net; use mio::Token;"),
        (
            "src/sync/mutex.rs",
            "//! use crate::net;\n/// mio\n/* mio /* libc */ mio */ use crate::rt::park;",
        ),
        (
            "src/sync/mutex.rs",
            r##"const A: &str = "libc \" mio"; const B: &str = r#"" mio"#; const C: char = '"';"##,
        ),
        (
            "src/sync/mutex.rs",
            "use super::poison; use crate::rt::{Reason, park}; use crate::time::Instant;",
        ),
        (
            "src/sync/mutex.rs",
            "fn f() { park(crate::rt::Reason::Mutex); crate::rt::Task::current(); }",
        ),
        (
            "src/sync/mutex.rs",
            "use crate::sync::Condvar; mod tests { use super::super::Condvar; }",
        ),
        (
            "src/time.rs",
            "mod tests { use super::*; fn f() { super::net(); } }",
        ),
        (
            "src/rt/hub.rs",
            "use super::task::Task; use crate::sys::stack::Stack; use mio::Poll;",
        ),
        (
            "src/net/tcp.rs",
            "use crate::{fd::Handle, thread, time::{Duration, Instant}}; crate::thread_local!{}",
        ),
    ] {
        assert_eq!(
            violations(file, text),
            Vec::<String>::new(),
            "{file}: {text}"
        );
    }
}

/// What the text of a file (named from the package's root) imports against the rules.
pub fn violations(file: &str, text: &str) -> Vec<String> {
    let inside = file
        .strip_prefix("src/")
        .expect("a file under src")
        .trim_end_matches(".rs");
    let mut module: Vec<&str> = inside.split('/').filter(|part| *part != "mod").collect();
    if module == ["lib"] {
        return Vec::new();
    }
    let Some(own) = layer(module[0]) else {
        return vec![format!("{file}: `{}` has no layer", module[0])];
    };
    let own_name = module[0];
    let tokens = tokens(text);
    let mut found = Vec::new();
    // For each open brace, whether it opened an inline module.
    let mut braces = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => {
                let inline = at >= 2 && tokens[at - 2] == "mod";
                if inline {
                    module.push(&tokens[at - 1]);
                }
                braces.push(inline);
            }
            "}" if braces.pop() == Some(true) => {
                module.pop();
            }
            "crate" | "super" if at == 0 || tokens[at - 1] != "::" => {
                let mut paths = Vec::new();
                expand(&tokens, at, &mut Vec::new(), &mut paths);
                for path in paths {
                    let path = absolute(&path, &module);
                    found.extend(
                        judge(own, own_name, &path)
                            .map(|why| format!("{file}: {why}: crate::{}", path.join("::"))),
                    );
                }
            }
            name => {
                let rule = NAMES.iter().find(|(known, _)| *known == name);
                if let Some((_, homes)) =
                    rule.filter(|(_, homes)| !homes.iter().any(|home| file.starts_with(home)))
                {
                    found.push(format!("{file}: `{name}` is for {} only", homes.join(", ")));
                }
            }
        }
    }
    found
}

/// What is wrong with a path, counted from the crate's root, in a module of layer `own`.
fn judge(own: usize, own_name: &str, path: &[String]) -> Option<&'static str> {
    let first = path.first()?.as_str();
    let door = layer("rt")?;
    match layer(first) {
        _ if first == own_name || first.ends_with('!') => None,
        None => Some("goes through lib.rs"),
        Some(target) if target >= own => Some("imports upwards or sideways"),
        Some(target) if target < door && own > door => Some("reaches past the kernel's door"),
        // A type's items may follow its name; a module's may not.
        Some(target)
            if target == door && path.len() > 2 && path[1].starts_with(char::is_lowercase) =>
        {
            Some("goes inside the kernel instead of through its door")
        }
        Some(_) => None,
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&name))
}

/// The path from the crate's root, for one that begins with `crate` or `super`.
fn absolute(path: &[String], module: &[&str]) -> Vec<String> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let kept = if supers == 0 {
        0
    } else {
        module.len().saturating_sub(supers)
    };
    let rest = &path[supers.max(1)..];
    module[..kept]
        .iter()
        .map(ToString::to_string)
        .chain(rest.iter().cloned())
        .collect()
}

/// Writes out the paths of the tree that begins at a token: `crate::{a, b::c}` is two. Returns the
/// place after it.
fn expand(
    tokens: &[String],
    mut at: usize,
    prefix: &mut Vec<String>,
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let depth = prefix.len();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    // Commas and `as name` lie between the branches.
                    at = if tokens[at] == "," {
                        at + 1
                    } else {
                        expand(tokens, at, prefix, paths)
                    };
                }
                at += 1;
                break;
            }
            Some(part) => {
                let called = tokens.get(at + 1).is_some_and(|next| next == "!");
                prefix.push(if called {
                    format!("{part}!")
                } else {
                    part.to_string()
                });
                at += 1;
            }
            None => break,
        }
        let goes_on = tokens.get(at).is_some_and(|token| token == "::")
            && tokens.get(at + 1).is_some_and(|token| token != "<");
        if !goes_on {
            paths.push(prefix.clone());
            break;
        }
        at += 1;
    }
    prefix.truncate(depth);
    if tokens.get(at).is_some_and(|token| token == "as") {
        at + 2
    } else {
        at
    }
}

/// Words, `::` and single signs, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let length = match sign {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, '"'),
            'r' if raw_string(rest).is_some() => raw_string(rest).unwrap_or_default(),
            // A character is closed after one sign or an escape; else it is a lifetime.
            '\'' if rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'') => {
                quoted(rest, '\'')
            }
            '\'' => 1 + word(&rest[1..]),
            _ if word(rest) > 0 => {
                found.push(rest[..word(rest)].to_string());
                word(rest)
            }
            _ if rest.starts_with("::") => {
                found.push("::".to_string());
                2
            }
            _ => {
                if !sign.is_whitespace() {
                    found.push(sign.to_string());
                }
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}

fn word(text: &str) -> usize {
    text.find(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .unwrap_or(text.len())
}

fn quoted(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == end => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].find(|sign| sign != '#')?;
    text[1 + hashes..].starts_with('"').then(|| {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = hashes + 2;
        text[start..]
            .find(&end)
            .map_or(text.len(), |at| start + at + end.len())
    })
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = if text[at..].starts_with("/*") {
            depth += 1;
            2
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            text[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}
