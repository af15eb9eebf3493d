//! Runs the examples as a user would, and looks at what they print and how they end.

#![deny(unsafe_code)]

use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[path = "support/imap.rs"]
mod imap;
#[path = "support/interrupt.rs"]
mod interrupt;

/// Cargo builds the examples before it runs tests, and puts them beside the tests' own directory.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("tests stand in target/<profile>/deps");
    let mut command = Command::new(profile.join("examples").join(name));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    interrupt::can_be_interrupted(&mut command);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the example was built and starts")
}

fn crawl(arguments: &[&str]) -> Output {
    run(example("crawler").args(arguments))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the examples print UTF-8")
}

/// A place for files, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("examples-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0
            .join(name)
            .to_str()
            .expect("its name is UTF-8")
            .to_owned()
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in the directory"))
            .expect("directories can be made");
        fs::write(path, content).expect("files can be written");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The counts of a summary: the first number after each label.
fn counts(summary: &str) -> BTreeMap<&str, u64> {
    summary
        .lines()
        .filter_map(|line| {
            let (label, rest) = line
                .trim()
                .rsplit_once("  ")
                .map(|(label, rest)| (label.trim(), rest.trim()))?;
            let number: String = rest.split(' ').next()?.split(',').collect();
            Some((label, number.parse().ok()?))
        })
        .collect()
}

fn lines(path: &str) -> Vec<Value> {
    let content = fs::read_to_string(path).expect("the crawler wrote its file");
    content
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

#[test]
fn crawler_without_arguments_meets_everything_that_goes_wrong() {
    let place = Place::new("demonstration");
    let json = place.file("pages.json");
    let output = crawl(&["--json", &json]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stderr),
        "",
        "no progress bar without a terminal"
    );

    let expected = [
        ("pages", 49),
        ("bytes", 16_783_464),
        ("redirects", 16),
        ("skipped", 5),
        ("not HTML", 2),
        ("robots.txt", 1),
        ("too large", 2),
        ("failures", 14),
        ("HTTP status 404", 2),
        ("HTTP status 410", 1),
        ("HTTP status 500", 1),
        ("HTTP status 503", 1),
        ("connection closed early", 1),
        ("connection refused", 2),
        ("redirect loop", 2),
        ("redirect to nowhere", 1),
        ("timed out", 2),
        ("too many redirects", 1),
    ];
    let mut found = counts(text(&output.stdout));
    // How much of a page that trickles has come when its time is up is a matter of chance.
    let bytes = found.get_mut("bytes").expect("the summary counts bytes");
    assert!(bytes.abs_diff(16_783_464) < 100, "{bytes}");
    *bytes = 16_783_464;
    found.retain(|label, _| !["memory", "green threads"].contains(label));
    assert_eq!(found, BTreeMap::from(expected));

    let lines = lines(&json);
    let urls: HashSet<&str> = lines
        .iter()
        .filter_map(|line| line["url"].as_str())
        .collect();
    assert_eq!((lines.len(), urls.len()), (84, 84), "each URL once");
    assert!(
        urls.iter()
            .all(|url| !url.contains("never") && !url.contains("/in-a-") && !url.contains('#'))
    );
    for (path, status, error) in [
        ("/about.html", Some(200), None),
        ("/charset/caf%C3%A9", Some(200), None),
        ("/charset/%E8%A1%A8", Some(200), None),
        ("/charset/%E2%82%AC", Some(200), None),
        ("/charset/search?q=%EF%F0", Some(200), None),
        ("/deep/er/page.html", Some(200), None),
        ("/private/open.html", Some(200), None),
        (
            "/private/secret.html",
            None,
            Some("disallowed by robots.txt"),
        ),
        ("/redirect/moved", Some(301), None),
        ("/dead", None, Some("connection refused")),
        ("/late/silent", None, Some("timed out")),
        ("/late/trickle", Some(200), Some("timed out")),
        (
            "/huge/declared",
            Some(200),
            Some("larger than 16777216 bytes"),
        ),
        (
            "/files/picture.png",
            Some(200),
            Some("not HTML but image/png"),
        ),
    ] {
        let of_path = |line: &&Value| line["url"].as_str().is_some_and(|url| url.ends_with(path));
        let line = lines
            .iter()
            .find(of_path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(line["status"].as_u64(), status, "{line}");
        assert_eq!(line["error"].as_str(), error, "{line}");
    }
}

#[test]
fn crawler_can_be_told_to_ignore_robots() {
    let output = crawl(&["--ignore-robots"]);
    let found = counts(text(&output.stdout));
    assert_eq!((found["pages"], found.get("robots.txt")), (50, None));
}

#[test]
fn crawler_serves_a_folder_and_keeps_to_its_limits() {
    let place = Place::new("folder");
    place.write("secret.html", "<a href=never>");
    place.write(
        "site/index.html",
        "<a href=guide>guide</a> <a href='a%20b.html'>odd</a> <a href=../secret.html>out</a>",
    );
    place.write(
        "site/guide/index.html",
        "<a href=deeper/one.html>1</a> <a href=/style.css>style</a> <a href=/out.html>",
    );
    place.write("site/guide/deeper/one.html", "<a href=two.html>2</a>");
    place.write("site/guide/deeper/two.html", "<a href=one.html>1</a>");
    place.write("site/a b.html", "<a href=/>home</a>");
    place.write("site/style.css", "");
    symlink(place.file("secret.html"), place.file("site/out.html")).expect("links can be made");
    let site = place.file("site");

    let all = crawl(&["--site", &site]);
    assert!(all.status.success(), "{all:?}");
    let found = counts(text(&all.stdout));
    assert_eq!(
        ["pages", "redirects", "not HTML", "HTTP status 404"].map(|label| found[label]),
        [5, 1, 1, 2],
        "{found:?}"
    );

    // The redirect to the guide is as far away as the guide.
    let near = crawl(&["--site", &site, "--max-depth", "1", "--concurrency", "3"]);
    assert_eq!(counts(text(&near.stdout))["pages"], 3);
    let few = crawl(&["--site", &site, "--max-pages", "2", "--concurrency", "1"]);
    let found = counts(text(&few.stdout));
    assert_eq!(
        (found["pages"], found["redirects"], found["not tried"]),
        (1, 1, 3),
        "{found:?}"
    );
    let two_hubs = crawl(&["--site", &site, "--workers", "2", "--concurrency", "1"]);
    assert_eq!(counts(text(&two_hubs.stdout))["pages"], 5);
}

#[test]
fn crawler_stops_at_the_first_interrupt_and_prints_the_summary() {
    // A site that takes a request and never answers: the crawl cannot end by itself.
    let (url, begun) = silent_site();
    let mut command = example("crawler");
    let child = command
        .args(["--ignore-robots", "--timeout", "3", &url])
        .spawn()
        .expect("it starts");
    begun.recv().expect("the crawler connects");
    send(child.id(), "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(counts(text(&output.stdout))["pages"], 0);
    assert_eq!(counts(text(&output.stdout))["failures"], 1);
}

#[test]
fn crawler_ends_at_once_at_the_second_interrupt() {
    // Where the first interrupt cannot cancel the request, a minute is longer than anybody waits.
    let (url, begun) = silent_site();
    let mut command = example("crawler");
    let mut child = command
        .args(["--ignore-robots", "--timeout", "60", &url])
        .spawn()
        .expect("it starts");
    begun.recv().expect("the crawler connects");
    while child.try_wait().expect("it can be asked").is_none() {
        send(child.id(), "INT");
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let status = child.wait().expect("it ended");
    assert_eq!((status.code(), status.signal()), (Some(130), None));
}

/// A site that accepts connections and says nothing, and a channel that tells of the first one.
fn silent_site() -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            connections.push(connection);
            // The test listens for the first one only.
            let _ = sender.send(());
        }
    });
    (url, receiver)
}

fn send(process: u32, signal: &str) {
    let status = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .stderr(Stdio::null())
        .status();
    status.expect("kill is installed");
}

#[test]
fn graceful_shutdown_lets_connections_finish_and_cancels_the_rest() {
    // So long has the one connection to finish, and the other is kept.
    let mut server = Server::start("5");
    let (mut busy, mut idle) = (server.connect(), server.connect());
    for client in [&mut busy, &mut idle] {
        assert_eq!(ask(client, "one\n"), "ONE\n");
    }
    busy.write_all(b"half a li").expect("the server reads");
    send(server.process.id(), "TERM");
    let expected = "SIGTERM: accepting no more, 2 connections in progress\n";
    assert_eq!(server.line(), expected);
    let refused = TcpStream::connect(&server.address).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
    assert_eq!(ask(&mut busy, "ne\n"), "HALF A LINE\n");
    drop(busy);
    let end = idle.read(&mut [0]).expect("it is closed in order");
    assert_eq!(end, 0, "time is up");
    assert_eq!(server.line(), "1 were cancelled\n");
    server.assert_ends_well();
}

#[test]
fn graceful_shutdown_does_not_wait_when_all_have_finished() {
    let mut server = Server::start("3600");
    let mut client = server.connect();
    assert_eq!(ask(&mut client, "last\n"), "LAST\n");
    send(server.process.id(), "TERM");
    assert!(server.line().starts_with("SIGTERM: "));
    drop(client);
    assert_eq!(server.line(), "0 were cancelled\n");
    server.assert_ends_well();
}

#[test]
fn graceful_shutdown_ends_at_once_at_the_second_interrupt() {
    let mut server = Server::start("3600");
    let mut client = server.connect();
    // Else the signal may come before the connection is accepted, and then there is nothing to wait for.
    assert_eq!(ask(&mut client, "here\n"), "HERE\n");
    send(server.process.id(), "INT");
    assert!(server.line().starts_with("SIGINT: "));
    send(server.process.id(), "INT");
    let status = server.process.wait().expect("it ends");
    assert_eq!(status.signal(), Some(2));
}

#[test]
fn http_server_answers_and_ends_well() {
    let mut server = Server::of(example("http_server").args(["127.0.0.1:0", "5"]));
    assert_eq!(get(&server, "GET / HTTP/1.0\r\n\r\n"), "hello, 127.0.0.1\n");
    assert_eq!(get(&server, "GET /slow HTTP/1.0\r\n\r\n"), "at last\n");
    assert_eq!(get(&server, "GET /none HTTP/1.0\r\n\r\n"), "no such page\n");
    let post = "POST /shout HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(get(&server, post), "HELLO");

    let mut events = server.connect();
    events
        .write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n")
        .expect("it reads");
    let mut lines = BufReader::new(&events).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "data: tick 2")));
    drop(events);
    send(server.process.id(), "TERM");
    assert_eq!(
        server.line(),
        "SIGTERM: 5 connections served, 0 cancelled\n"
    );
    server.assert_ends_well();
}

#[test]
fn reverse_proxy_hands_on() {
    let server = Server::of(example("http_server").args(["127.0.0.1:0"]));
    let mut proxy = example("reverse_proxy");
    let proxy = Server::of(proxy.args(["127.0.0.1:0", &server.address]));
    assert_eq!(get(&proxy, "GET / HTTP/1.0\r\n\r\n"), "hello, 127.0.0.1\n");
    assert_eq!(get(&proxy, "GET /none HTTP/1.0\r\n\r\n"), "no such page\n");
    let long = "x".repeat(1 << 20);
    let length = long.len();
    let post = format!("POST /shout HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{long}");
    assert_eq!(get(&proxy, &post), long.to_uppercase());
    // An answer without an end comes as it is made.
    let mut events = proxy.connect();
    events
        .write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n")
        .expect("it reads");
    let mut lines = BufReader::new(&events).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "data: tick 2")));
    drop(server);
    let answer = get(&proxy, "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.contains("refused"), "{answer}");
}

#[test]
fn websocket_chat_tells_all_what_one_says() {
    let server = Server::of(example("websocket_chat").args(["serve", "127.0.0.1:0"]));
    let mut listener = example("websocket_chat");
    let listener = listener.args(["join", &server.address, "ann", "hello"]);
    let mut listener = listener.spawn().expect("it starts");
    let mut heard = BufReader::new(listener.stdout.take().expect("it is piped")).lines();
    let mut next = || heard.next().expect("a line").expect("it is UTF-8");
    // She is in when she hears herself.
    assert_eq!(next(), "ann: hello");
    let bob = run(example("websocket_chat").args(["join", &server.address, "bob", "hi", "bye"]));
    assert!(bob.status.success(), "{}", text(&bob.stderr));
    assert_eq!(text(&bob.stdout), "bob: hi\nbob: bye\n");
    assert_eq!([next(), next()], ["bob: hi", "bob: bye"]);
    assert!(listener.wait().expect("it ends").success());
    assert!(get(&server, "GET / HTTP/1.0\r\n\r\n").contains("WebSocket"));
}

/// The body of the answer.
fn get(server: &Server, request: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    body.to_owned()
}

/// One of the examples that serve, and tell where.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(grace: &str) -> Self {
        Self::of(example("graceful_shutdown").args(["0", grace]))
    }

    fn of(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut server = Self {
            process,
            output,
            address: String::new(),
        };
        let line = server.line();
        let address = line.trim().strip_prefix("listening on ");
        server.address = address.expect("it tells its address").to_owned();
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints UTF-8");
        line
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("it listens")
    }

    fn assert_ends_well(&mut self) {
        assert_eq!(self.line(), "");
        let mut errors = String::new();
        let mut stderr = self.process.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut errors).expect("it is UTF-8");
        assert_eq!(errors, "");
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error: it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(server: &mut TcpStream, line: &str) -> String {
    server.write_all(line.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    let mut reader = BufReader::new(server);
    reader.read_line(&mut answer).expect("the server answers");
    answer
}

#[test]
fn crawler_says_what_it_cannot_write() {
    let closed = {
        let mut child = example("crawler")
            .args(["--timeout", "0.5"])
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        child.wait_with_output().expect("it ends")
    };
    assert_failure(&closed, "cannot print the summary: Broken pipe");

    assert_failure(
        &crawl(&["--json", "/dev/full"]),
        "cannot write /dev/full: No space left on device",
    );
    assert_failure(
        &crawl(&["--json", "/no/such/place"]),
        "cannot create /no/such/place: No such file",
    );
    assert_failure(
        &crawl(&["--site", "/no/such/place"]),
        "cannot serve /no/such/place: No such file",
    );
    assert_failure(
        &crawl(&["--site", "/dev/null"]),
        "cannot serve /dev/null: not a directory",
    );
    assert_failure(
        &crawl(&["http://127.0.0.1:1/"]),
        "not one page could be fetched",
    );
}

#[test]
fn crawler_survives_a_reader_that_has_seen_enough() {
    let mut child = example("crawler")
        .args(["--json", "/dev/stdout"])
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    let mut output = BufReader::with_capacity(1, child.stdout.take().expect("it is piped"));
    output.read_line(&mut first).expect("a line comes");
    drop(output);
    let mut message = String::new();
    child
        .stderr
        .take()
        .expect("it is piped")
        .read_to_string(&mut message)
        .expect("it is UTF-8");
    assert!(first.starts_with("{\"url\":"), "{first}");
    assert!(
        message.starts_with("crawler: cannot ") && message.contains("Broken pipe"),
        "{message}"
    );
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

fn assert_failure(output: &Output, message: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr.starts_with("crawler: ") && stderr.contains(message),
        "{stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn crawler_explains_itself() {
    let help = crawl(&["--help"]);
    assert!(help.status.success());
    for option in [
        "--concurrency",
        "--max-pages",
        "--max-depth",
        "--timeout",
        "--workers",
        "--json",
        "--site",
        "--all-hosts",
        "--ignore-robots",
        "--user-agent",
        "--max-body",
    ] {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
    for arguments in [
        &["--concurrency", "0"][..],
        &["--timeout", "soon"],
        &["example.org"],
        &["--no-such-option"],
    ] {
        let output = crawl(arguments);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{arguments:?}"
        );
        assert!(text(&output.stderr).starts_with("error: "), "{arguments:?}");
    }
}

#[test]
fn fetch_many_waits_for_all_at_once() {
    let output = run(example("fetch_many").args(["--requests", "50", "--delay-ms", "100"]));
    assert!(output.status.success(), "{output:?}");
    let printed = text(&output.stdout);
    assert!(
        printed.contains("50 requests at once:") && printed.contains("extrapolated from 5"),
        "{printed}"
    );
    // Fifty at once would take a fiftieth of the time; a tenth is far from every machine's moods.
    let speed_up = printed
        .lines()
        .find_map(|line| line.strip_prefix("speed-up: ")?.strip_suffix(" times"));
    assert!(
        speed_up
            .and_then(|number| number.parse::<f64>().ok())
            .is_some_and(|times| times > 5.0),
        "{printed}"
    );

    let refused = run(example("fetch_many").args(["--url", "http://127.0.0.1:1/"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("refused"), "{refused:?}");
}

#[test]
fn process_pool_runs_functions_in_other_processes() {
    let output = run(example("process_pool").args(["--processes", "2", "--concurrency", "25"]));
    assert!(output.status.success(), "{output:?}");
    let printed = text(&output.stdout);
    for line in [
        "Hello from another process!",
        "the process ended: exit status: 0",
        "the sum is 5050",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(printed.contains("100 pages, "), "{printed}");
    let shares = printed.trim_end().rsplit(": ").next();
    let shares: Vec<u32> = shares
        .expect("it ends with them")
        .split(", ")
        .map(|share| share.parse().expect("a number"))
        .collect();
    assert_eq!(shares.len(), 2, "{printed}");
    assert_eq!(shares.iter().sum::<u32>(), 100);

    let refused = run(example("process_pool").arg("http://127.0.0.1:1/"));
    assert!(text(&refused.stderr).contains("refused"), "{refused:?}");
}

#[test]
fn mapreduce_counts_as_one_process_does() {
    let place = Place::new("mapreduce");
    for file in 0..120 {
        place.write(
            &format!("{}/{file}.txt", file % 7),
            "to be, or not to be: that",
        );
    }
    place.write("picture.png", "to to to");
    let folder = place.file("");
    let output = run(example("mapreduce").args([&folder, "--processes", "2", "--top", "3"]));
    assert!(output.status.success(), "{output:?}");
    let printed = text(&output.stdout);
    assert!(
        printed.starts_with("       240 be\n       240 to\n       120 not\n840 words, 5 different ones, in 120 files\n2 processes: "),
        "{printed}"
    );
    assert!(printed.contains("\n1 process: "), "{printed}");

    let nowhere = run(example("mapreduce").arg(place.file("nowhere")));
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
    assert!(
        text(&nowhere.stderr).contains("nowhere: No such file"),
        "{nowhere:?}"
    );
}

/// Runs an example that has a clock, with units of this length. Returns when each line was printed, if it
/// says so, and the line.
fn clocked(name: &str, unit_ms: &str) -> Vec<(Option<f64>, String)> {
    let output = run(example(name).args(["--unit-ms", unit_ms]));
    assert!(output.status.success(), "{output:?}");
    assert!(!text(&output.stderr).contains("panicked"), "{output:?}");
    let lines = text(&output.stdout).lines().map(|line| {
        let first = line.trim_start().split_once("  ");
        match first.and_then(|(time, rest)| Some((time.parse().ok()?, rest))) {
            Some((time, rest)) => (Some(time), rest.to_owned()),
            None => (None, line.to_owned()),
        }
    });
    lines.collect()
}

fn words(lines: &[(Option<f64>, String)]) -> Vec<&str> {
    lines.iter().map(|(_, words)| words.as_str()).collect()
}

#[test]
fn task_states_shows_each_state_and_end() {
    let output = run(&mut example("task_states"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let expected = "\
one that returns
  spawned: pending
  itself: running
  parked: waiting: park
  woken, and asleep: waiting: sleep
  callback 1: it returned 7
  callback 2: it returned 7
  at the end: returned
  joined: it returned 7
one that panics
  callback 1: it panicked: out of luck
  callback 2: it panicked: out of luck
  at the end: panicked
  joined: it panicked: out of luck
one that is cancelled while it waits
  asked to end: waiting: sleep
  its destructors run
  callback 1: it was cancelled
  callback 2: it was cancelled
  at the end: cancelled
  joined: it was cancelled
one that is cancelled before it starts
  callback 1: it was cancelled
  callback 2: it was cancelled
  at the end: cancelled
  joined: it was cancelled
";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn gather_and_wait_tells_them_apart() {
    let lines = clocked("gather_and_wait", "250");
    let expected = [
        "gather: the first failure at once; the others go on",
        "    one ends",
        "    two ends",
        "one has panicked: out of luck",
        "    three ends",
        "gather_all: how each ended, in the order of the handles",
        "    one ends",
        "    two ends",
        "    three ends",
        "one has returned; one has panicked: out of luck; three has returned",
        "wait: it never fails, and cancels nothing",
        "    one ends",
        "for the first: done one; pending two and three",
        "for half a unit: done none; pending two and three",
        "    two ends",
        "for a failure: done two; pending three",
        "one has panicked: out of luck",
        "    three ends",
        "for all: done three; pending none",
        "as_completed: the handles in the order of their ends",
        "    one ends",
        "one has returned",
        "    two ends",
        "one has panicked: out of luck",
        "    three ends",
        "three has returned",
        "race: the first wins; the others are cancelled, and waited for",
        "    one ends",
        "    two ends",
        "    three ends",
        "one has returned",
    ];
    assert_eq!(words(&lines), expected);
}

#[test]
fn subprocesses_end_as_they_are_told_to() {
    let lines = clocked("subprocesses", "250");
    let expected = [
        "the output of a program, and how it ended",
        "to standard output",
        "to standard error",
        "exit status: 3",
        "many at once take as long as one",
        "20 of them have succeeded",
        "forty of them, ten at a time",
        "40 of them have succeeded",
        "a pipe from one to the next",
        "apple",
        "pear",
        "a talk with a program; others run meanwhile",
        "    another green thread",
        "good morning, indeed",
        "fine weather, indeed",
        "exit status: 0",
        "for so long and no longer",
        "None: it goes on",
        "ended by signal Some(9)",
        "Err(Elapsed): it was told nothing",
        "exit status: 0",
        "a program that does not exist",
        "Err(NotFound)",
    ];
    assert_eq!(words(&lines), expected);
    let times = |words: &str| {
        let of_these = lines.iter().filter(|(_, it)| it == words);
        of_these.filter_map(|(time, _)| *time).next().unwrap()
    };
    // One after another they would take twenty and forty units.
    assert!(times("20 of them have succeeded") < 15.0);
    assert!((4.0..30.0).contains(&times("40 of them have succeeded")));
}

#[test]
fn timeouts_end_what_they_are_around() {
    let lines = clocked("timeouts", "250");
    let expected = [
        "a time-out ends what waits, and its destructors run",
        "    the sleeper ends",
        "Err(Elapsed)",
        "Ok(\"in time\")",
        "each time-out ends its own part",
        "inner: Err(Elapsed)",
        "outer: Err(Elapsed)",
        "a longer one inside does not outlive a shorter one outside",
        "outer: Err(Elapsed)",
        "around a scope: its threads have the same deadline, and end first",
        "    first ends",
        "    second ends",
        "Err(Elapsed)",
        "around a nursery",
        "    its thread ends",
        "deadline has elapsed",
        "around a gather: it cancels, and does not wait",
        "Err(Elapsed)",
        "    first ends",
        "    second ends",
        "what is spawned goes on",
        "the one that was spawned has returned",
        "mask: what must not be cut short is not",
        "to the end",
        "Err(Elapsed)",
        "several steps with one deadline",
        "step 1: Ok(())",
        "step 2: Ok(())",
        "step 3: Err(Elapsed)",
        "work that never waits is not interrupted",
        "Ok(\"it has not waited, and its value counts\")",
        "Err(Elapsed)",
    ];
    assert_eq!(words(&lines), expected);
    // The hundred units of sleep, each time, are in none of them.
    assert!(
        lines
            .iter()
            .all(|(time, _)| time.is_none_or(|it| it < 50.0))
    );
}

#[test]
fn work_queue_shares_the_jobs() {
    let lines = clocked("work_queue", "250");
    let all = words(&lines);
    let (jobs, rest) = all.split_at(20);
    assert_eq!(
        rest,
        [
            "all jobs are done",
            "3 workers were cancelled",
            "one alone would have slept for 10.5 units"
        ]
    );
    // Each job was done once, and each worker has done some.
    let mut slept: Vec<_> = jobs
        .iter()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    slept.sort_unstable();
    let expected: Vec<_> = (1..=20)
        .map(|job| format!("{:.2}", f64::from(job) / 20.0))
        .collect();
    assert_eq!(slept, expected);
    for worker in 0..3 {
        let name = format!("worker {worker} ");
        assert!(jobs.iter().any(|line| line.starts_with(&name)), "{jobs:?}");
    }
}

#[test]
fn asyncio_tour_goes_through_the_tutorial() {
    let lines = clocked("asyncio_tour", "250");
    let last = lines.len() - 6;
    let expected = [
        "1. a task and its states",
        "created: pending",
        "begun: waiting: sleep",
        "done: returned",
        "2. a callback that reads the result",
        "callback: work(4) is 7",
        "joined: 7",
        "3. three sleepers in sequence",
        "slept for 1",
        "slept for 2",
        "slept for 3",
        "all have slept",
        "   three sleepers at once",
        "slept for 1",
        "slept for 2",
        "slept for 3",
        "all have slept",
        "4. gather: the results",
        "slept for 1",
        "slept for 2",
        "slept for 3",
        "in the order of the tasks: [3, 1, 2]",
        "   wait: who is done, and who is not",
        "slept for 1",
        "1 done, 2 pending",
        "slept for 2",
        "slept for 3",
        "2 done, 0 pending",
        "5. one task is cancelled",
        "    task 2 ends",
        "slept for 1",
        "    task 1 ends",
        "returned 1",
        "was cancelled",
        "6. ^C cancels all tasks, and stops and closes the loop",
    ];
    assert_eq!(words(&lines[..last]), expected);
    // In sequence the times add up, at once the longest counts.
    let times: Vec<_> = lines
        .iter()
        .filter(|(_, words)| words == "all have slept")
        .filter_map(|(time, _)| *time)
        .collect();
    assert!(
        times[0] >= 6.0 && times[1] >= 3.0 && times[1] < 6.0,
        "{times:?}"
    );

    let mut interrupted = words(&lines[last..]);
    assert_eq!(
        (
            interrupted.remove(0),
            interrupted.remove(0),
            interrupted.pop()
        ),
        (
            "this program presses ^C by itself",
            "stopped: 3 tasks wait",
            Some("closed: 3 tasks were cancelled")
        )
    );
    interrupted.sort_unstable();
    let all = ["    task 1 ends", "    task 2 ends", "    task 3 ends"];
    assert_eq!(interrupted, all);
}

#[test]
fn asyncio_tour_waits_for_an_interrupt_if_told_to() {
    let mut command = example("asyncio_tour");
    let mut child = command
        .args(["--unit-ms", "10", "--wait"])
        .spawn()
        .expect("it starts");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = output.lines().map(|line| line.expect("it prints UTF-8"));
    assert!(lines.any(|line| line.ends_with("press ^C")));
    send(child.id(), "INT");
    assert_eq!(
        lines
            .last()
            .map(|line| line.ends_with("3 tasks were cancelled")),
        Some(true)
    );
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn aiohttp_tour_goes_through_the_tutorial() {
    let output = run(example("aiohttp_tour").args(["--delay-ms", "50"]));
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = text(&output.stdout)
        .lines()
        .filter(|line| !line.starts_with("   took"))
        .collect();
    assert_eq!(
        lines,
        [
            "1. one page",
            "   status: 200",
            "   content type: text/html; charset=utf-8",
            "   text: grüne Fäden",
            "2. a hundred pages of one session",
            "   700 bytes over no more than 100 connections",
            "3. a request by any method, with parameters",
            "   PUT /echo?key=value&word=d%C3%A9j%C3%A0+vu",
            "4. JSON, there and back",
            "   2 pots of \"green\" tea",
            "5. a status that is an error",
            "   404, because: there is no such page",
            "6. a time-out that says which",
            "   timed out: waiting for the response",
        ]
    );
}

/// The content of a file that the example serves.
fn served(file: u32) -> String {
    (0..100_000)
        .map(|line| format!("file {file:6}, line {line:13}\n"))
        .collect()
}

#[test]
fn download_fetches_several_files_and_resumes_what_was_begun() {
    let place = Place::new("download");
    place.write("file-2.txt.part", &served(2)[..1_234_567]);
    place.write("file-3.txt.part", &served(3));
    let output = run(example("download").args(["--into", &place.file("")]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "file-1.txt: 3.05 MiB\n\
         file-2.txt: 3.05 MiB, of which 1.18 MiB were there\n\
         file-3.txt: 3.05 MiB, of which 3.05 MiB were there\n"
    );
    for file in 1..=3 {
        let content = fs::read_to_string(place.file(&format!("file-{file}.txt")));
        assert!(content.expect("it is complete") == served(file), "{file}");
        assert!(!Path::new(&place.file(&format!("file-{file}.txt.part"))).exists());
    }
}

#[test]
fn download_tells_what_could_not_be_had() {
    let place = Place::new("download-nothing");
    let nowhere = "http://127.0.0.1:1/gone.txt";
    let output = run(example("download").args(["--into", &place.file(""), nowhere]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed = text(&output.stdout);
    assert!(
        printed.starts_with("gone.txt: cannot connect: "),
        "{printed}"
    );
    assert!(!Path::new(&place.file("gone.txt")).exists());
}

// ---- other people's crates

const CERTIFICATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/tls/certificate.pem"
);

type TlsStream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// A server for one TLS connection; where it is.
fn tls_server<R: Send + 'static>(
    serve: impl FnOnce(TlsStream) -> R + Send + 'static,
) -> (String, thread::JoinHandle<R>) {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).expect("a certificate");
    let key = include_bytes!("support/tls/key.pem");
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("it has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody connects");
        let session = rustls::ServerConnection::new(Arc::new(config)).expect("a session");
        serve(rustls::StreamOwned::new(session, stream))
    });
    (format!("localhost:{port}"), server)
}

#[test]
fn tls_client_sends_lines_and_prints_the_answers() {
    let (address, server) = tls_server(|stream| {
        let mut stream = BufReader::new(stream);
        let mut lines = Vec::new();
        let mut line = String::new();
        while stream.read_line(&mut line).expect("it ends in order") > 0 {
            let answer = line.to_uppercase();
            stream
                .get_mut()
                .write_all(answer.as_bytes())
                .and_then(|()| stream.get_mut().flush())
                .expect("it reads");
            lines.push(std::mem::take(&mut line));
        }
        lines
    });
    let mut client = example("tls_client")
        .args([&address, CERTIFICATE])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = client.stdin.take().expect("it is piped");
    stdin.write_all(b"one\ntwo\n").expect("it reads");
    drop(stdin);
    let output = client.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "ONE\nTWO\n");
    assert_eq!(server.join().expect("it serves"), ["one\n", "two\n"]);
}

#[test]
fn tls_client_tells_what_is_wrong() {
    let place = Place::new("tls-client");
    place.write("none.pem", "");
    let (address, server) = tls_server(|mut stream| stream.read(&mut [0]).is_err());
    let output = run(example("tls_client").args([&address, &place.file("none.pem")]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("certificate"), "{said}");
    assert!(server.join().expect("it does not panic"));
    let output = run(&mut example("tls_client"));
    assert!(text(&output.stderr).starts_with("usage: "), "{output:?}");
}

#[test]
fn imap_folders_lists_them() {
    let (address, server) = tls_server(|stream| imap::serve(stream).expect("it is asked"));
    let output = run(example("imap_folders")
        .args([&address, "ann", CERTIFICATE])
        .env("IMAP_PASSWORD", "secret"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "INBOX\nSent mail\n");
    let asked = server.join().expect("it serves");
    assert_eq!(asked[0], r#"LOGIN "ann" "secret""#);
}

#[test]
fn redis_client_counts() {
    // It is a port that was free a moment ago; nobody else here asks for one by number.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener
        .local_addr()
        .expect("it has one")
        .port()
        .to_string();
    drop(listener);
    let mut redis = Command::new("redis-server");
    let redis = redis
        .args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--daemonize",
            "no",
        ])
        .stdout(Stdio::piped())
        .spawn();
    let mut redis = match redis {
        Ok(redis) => redis,
        Err(error) => return println!("not run: redis-server: {error}"),
    };
    let stdout = redis.stdout.take().expect("it is piped");
    let mut log = BufReader::new(stdout).lines();
    let is_ready = log.any(|line| line.is_ok_and(|line| line.contains("eady to accept")));
    let output = run(example("redis_client").arg(format!("127.0.0.1:{port}")));
    redis.kill().expect("it runs");
    redis.wait().expect("it is a child");
    assert!(is_ready && output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "10 clients counted to 1000\n");
    // Nobody is there any more.
    let output = run(example("redis_client").arg(format!("127.0.0.1:{port}")));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("refused"), "{output:?}");
}
