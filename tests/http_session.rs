//! `http::Session`, row by row, against servers that do what they should and such that do not.

mod support;
#[path = "support/http.rs"]
mod web;

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use support::{HOUR, must_end};
use sylvan::http::multipart::{Form, Part};
use sylvan::http::{self, Deadlines, Error, Phase, Session, SessionBuilder, What};
use sylvan::{thread, time};
use web::{Request, Server, Silence, Stream, echo, ok, reply};

/// In a green thread; a hang is a failure.
fn run<T>(f: impl FnOnce() -> T) -> T {
    must_end(|| sylvan::run(f))
}

fn session(builder: SessionBuilder) -> Session {
    builder.build().unwrap()
}

fn plain() -> Session {
    Session::new()
}

/// Nothing but this one deadline.
fn only(set: impl FnOnce(&mut Deadlines)) -> Session {
    let mut deadlines = Deadlines::NONE;
    set(&mut deadlines);
    session(Session::builder().deadlines(deadlines))
}

const SOON: Option<Duration> = Some(Duration::from_millis(20));

fn phase_of<T>(result: Result<T, Error>) -> Option<Phase> {
    let error = result.err().expect("it is over too late");
    assert_eq!(error.is_timeout(), error.phase().is_some(), "{error}");
    error.phase()
}

// What is sent.

#[test]
fn every_method_arrives() {
    let server = Server::start(echo);
    run(|| {
        let (session, url) = (plain(), server.url("/m"));
        let line = |request: http::RequestBuilder| {
            let text = request.send().unwrap().text().unwrap();
            text.lines().next().unwrap().to_owned()
        };
        assert_eq!(line(session.get(&url)), "GET /m");
        assert_eq!(line(session.post(&url)), "POST /m");
        assert_eq!(line(session.put(&url)), "PUT /m");
        assert_eq!(line(session.patch(&url)), "PATCH /m");
        assert_eq!(line(session.delete(&url)), "DELETE /m");
        assert_eq!(line(session.options(&url)), "OPTIONS /m");
        assert_eq!(line(session.request("PROPFIND", &url)), "PROPFIND /m");
        let head = session.head(&url).send().unwrap();
        assert!(head.content_length().unwrap() > 0);
        assert_eq!(head.text().unwrap(), "");
        assert_eq!(line(session.get(&url)), "GET /m", "after a HEAD");
    });
    assert_eq!(server.connections(), 1, "one after the other");
    let bodiless = |request: &Request| request.header("content-length").is_empty();
    let posts = server.requests().into_iter().filter(|r| !bodiless(r));
    let posts: Vec<_> = posts.map(|request| request.method).collect();
    assert_eq!(posts, ["POST", "PUT", "PATCH"]);
}

#[test]
fn the_free_functions_share_a_session() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let cookie = [("Set-Cookie", "a=b")];
        reply(stream, "200 OK", &cookie, &request.method)
    });
    run(|| {
        let url = server.url("/");
        for (request, method) in [
            (http::get(&url), "GET"),
            (http::post(&url), "POST"),
            (http::put(&url), "PUT"),
            (http::patch(&url), "PATCH"),
            (http::delete(&url), "DELETE"),
            (http::options(&url), "OPTIONS"),
            (http::request("PUT", &url), "PUT"),
        ] {
            assert_eq!(request.send().unwrap().text().unwrap(), method);
        }
        assert_eq!(http::head(&url).send().unwrap().status(), 200);
    });
    let cookies = |request: &Request| request.header("cookie").to_owned();
    assert!(server.requests().iter().all(|r| cookies(r).is_empty()));
}

#[test]
fn what_a_request_says_and_what_its_session_says() {
    let server = Server::start(echo);
    run(|| {
        let session = session(
            Session::builder()
                .base_url(server.url("/api/"))
                .user_agent("tester")
                .header("x-kept", "session")
                .header("x-changed", "session"),
        );
        let request = session
            .get("find?a=1")
            .query([("b", "2 3"), ("ü", "&")])
            .query::<&str, &str>([])
            .header("x-changed", "request")
            .header("x-own", "request");
        let text = request.send().unwrap().text().unwrap();
        let host = server.address;
        assert_eq!(
            text,
            format!(
                "GET /api/find?a=1&b=2+3&%C3%BC=%26\naccept-encoding: gzip, deflate, br\naccept: */*\nhost: {host}\n\
                 user-agent: tester\nx-changed: request\nx-kept: session\nx-own: request\n\n"
            )
        );
        let rooted = session.get("/root").send().unwrap();
        assert_eq!(rooted.url().as_str(), server.url("/root"));
    });
}

#[test]
fn bodies_of_every_kind() {
    let server = Server::start(echo);
    run(|| {
        let (session, url) = (plain(), server.url("/"));
        let send = |request: http::RequestBuilder| {
            request.send().unwrap().bytes().unwrap();
            server.last()
        };
        let request = send(session.post(&url).body("bytes"));
        assert_eq!((request.text().as_str(), request.chunked), ("bytes", false));
        let request = send(session.get(&url).body("even so"));
        assert_eq!(request.text(), "even so");
        let request = send(session.post(&url).json(&[1, 2]));
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.text(), "[1,2]");
        let request = send(session.post(&url).form([("a", "1 2"), ("b", "&")]));
        let urlencoded = "application/x-www-form-urlencoded";
        assert_eq!(request.header("content-type"), urlencoded);
        assert_eq!(request.text(), "a=1+2&b=%26");

        let large: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let request = send(session.put(&url).body(large.clone()));
        assert!(request.body == large && !request.chunked);
        let reader = io::Cursor::new(large.clone());
        let length = Some(large.len() as u64);
        let request = send(session.put(&url).body_reader(reader.clone(), length));
        assert!(request.body == large && !request.chunked);
        let request = send(session.put(&url).body_reader(reader, None));
        assert!(request.body == large && request.chunked);
        let request = send(session.put(&url).body_reader(io::empty(), None));
        assert!(request.body.is_empty() && request.chunked);
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_form_with_files() {
    let server = Server::start(echo);
    run(|| {
        let form = || {
            Form::new()
                .text("title", "Tür")
                .part("file", Part::bytes("1").file_name("one.txt").mime("text/x"))
        };
        let (session, url) = (plain(), server.url("/"));
        session.post(&url).multipart(form()).send().unwrap();
        let request = server.last();
        let content_type = request.header("content-type");
        let boundary = content_type
            .strip_prefix("multipart/form-data; boundary=")
            .unwrap();
        let text = request.text();
        assert_eq!(text.matches(boundary).count(), 3);
        assert!(text.contains("name=\"title\"\r\n\r\nTür\r\n"), "{text}");
        assert!(!request.chunked);
        let streamed = form().part("log", Part::reader(&b"line"[..], None));
        session.post(&url).multipart(streamed).send().unwrap();
        let request = server.last();
        assert!(request.chunked && request.text().contains("\r\n\r\nline\r\n"));
    });
}

#[test]
fn a_server_is_asked_before_the_body_is_sent() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        match request.target.as_str() {
            "/wants" => {
                // Not what is waited for, and to be passed over.
                stream
                    .write_all(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")?;
            }
            "/refuses" => {
                return reply(stream, "417 Expectation Failed", &[], "no");
            }
            _ => {}
        }
        let mut request = request.clone();
        web::read_body(&mut request, stream)?;
        ok(stream, &request.body)
    });
    run(|| {
        let session = plain();
        let send = |path, body| {
            let request = session.post(server.url(path)).expect_continue();
            request.body(body).send().unwrap()
        };
        assert_eq!(send("/wants", "body").text().unwrap(), "body");
        let refused = send("/refuses", "body");
        assert_eq!(refused.status(), 417);
        assert_eq!(refused.text().unwrap(), "no");
        assert_eq!(send("/says-nothing", "late").text().unwrap(), "late");
    });
    assert_eq!(server.connections(), 2, "the one that refused cannot go on");
}

/// It answers before it has read the body, and goes.
#[test]
fn a_server_that_does_not_want_the_body_is_heard() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.read_exact(&mut [0; 100]).unwrap();
        let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nless";
        client.write_all(refusal).unwrap();
    });
    run(|| {
        let session = plain();
        let endless = io::repeat(b'x');
        let request = session.put(&url).body_reader(endless, None);
        let response = request.send().unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.text().unwrap(), "less");
        assert_eq!(session.stats().kept, 0);
    });
    server.join().unwrap();
}

/// It answers before it has read the body, and stays: one reads on and throws away what comes, as nginx does, and one
/// reads no more.
#[test]
fn a_server_that_answers_early_and_stays_is_heard() {
    for (reads_on, tls) in [(true, false), (false, false), (true, true), (false, true)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let (answered, wait) = mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let mut client: Box<dyn Stream> = if tls {
                let tls = rustls::ServerConnection::new(Arc::new(web::tls(false))).unwrap();
                Box::new(rustls::StreamOwned::new(tls, client))
            } else {
                Box::new(client)
            };
            client.read_exact(&mut [0; 100]).unwrap();
            // The first is not the last word.
            for answer in [
                "HTTP/1.1 103 Early Hints\r\n\r\n",
                "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nless",
            ] {
                client.write_all(answer.as_bytes()).unwrap();
                client.flush().unwrap();
            }
            if reads_on {
                // Until the client goes, whether in order or not.
                while client.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {}
            } else {
                let _gone = wait.recv();
            }
        });
        run(|| {
            let deadlines = Deadlines {
                write: Some(Duration::from_millis(300)),
                ..Deadlines::default()
            };
            let builder = Session::builder().root_certificates(web::ROOT);
            let session = builder.deadlines(deadlines).build().unwrap();
            let request = session.put(&url).body_reader(io::repeat(b'x'), None);
            let response = request.send().unwrap();
            assert_eq!(response.status(), 413);
            assert_eq!(response.text().unwrap(), "less");
            assert_eq!(session.stats().kept, 0);
        });
        drop(answered);
        server.join().unwrap();
    }
}

#[test]
fn credentials() {
    let server = Server::start(echo);
    run(|| {
        let (session, url) = (plain(), server.url("/"));
        let authorization = |request: http::RequestBuilder| {
            request.send().unwrap();
            server.last().header("authorization").to_owned()
        };
        let request = session.get(&url).basic_auth("user", Some("päss"));
        assert_eq!(authorization(request), "Basic dXNlcjpww6Rzcw==");
        let request = session.get(&url).bearer_auth("token");
        assert_eq!(authorization(request), "Bearer token");
        let with_user = url.replace("http://", "http://u%20r:p%40s@");
        assert_eq!(authorization(session.get(with_user)), "Basic dSByOnBAcw==");
        let session = session_with_auth();
        assert_eq!(authorization(session.get(&url)), "Basic YTpi");
        let bad = session.get(&url).bearer_auth("line\nbreak").send();
        assert!(matches!(bad, Err(Error::Request(_))));
    });
}

fn session_with_auth() -> Session {
    session(Session::builder().basic_auth("a", Some("b")))
}

#[test]
fn cookies_come_back_to_whom_they_belong() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let headers: &[_] = match request.target.as_str() {
            "/give" => &[
                ("Set-Cookie", "all=1; Path=/"),
                ("Set-Cookie", "deep=2; Path=/deep"),
                ("Set-Cookie", "secure=3; Secure; Path=/"),
                ("Set-Cookie", "foreign=4; Domain=example.org"),
                ("Set-Cookie", "wide=5; Domain=test"),
            ],
            "/take" => &[("Set-Cookie", "all=; Max-Age=0; Path=/")],
            "/redirect" => &[("Set-Cookie", "hop=6; Path=/"), ("Location", "/end")],
            _ => &[],
        };
        let status = match request.target.as_str() {
            "/redirect" => "302 Found",
            _ => "200 OK",
        };
        reply(stream, status, headers, "")
    });
    run(|| {
        let session = session(Session::builder().resolve("a.test", &[server.address]));
        let url = |path| format!("http://a.test:{}{path}", server.address.port());
        // In their order by name: those of one length of path have none of their own.
        let sent = |request: http::RequestBuilder| {
            request.send().unwrap();
            let last = server.last();
            let mut cookies: Vec<_> = last.header("cookie").split("; ").collect();
            cookies.sort_unstable();
            cookies.join("; ")
        };
        assert_eq!(sent(session.get(url("/give"))), "");
        assert_eq!(sent(session.get(url("/"))), "all=1");
        assert_eq!(sent(session.get(url("/deep/x"))), "all=1; deep=2");
        let own = session.get(url("/")).cookie("own", "7").cookie("x", "8");
        assert_eq!(sent(own), "all=1; own=7; x=8");
        assert_eq!(sent(session.get(server.url("/"))), "", "another host");
        assert_eq!(sent(session.get(url("/redirect"))), "all=1; hop=6");
        session.get(url("/take")).send().unwrap();
        assert_eq!(sent(session.get(url("/"))), "hop=6");
        let cookies = session.cookies();
        assert_eq!(cookies.get(&url("/"), "hop").unwrap().unwrap(), "6");
        assert!(cookies.set(&url("/"), "z=1; Domain=other.test").is_err());
        cookies.clear();
        assert!(cookies.is_empty());

        let without = self::session(
            Session::builder()
                .cookies(false)
                .resolve("a.test", &[server.address]),
        );
        without.get(url("/give")).send().unwrap();
        assert_eq!(sent(without.get(url("/"))), "");
    });
}

#[test]
fn what_is_not_proper_is_told_when_it_is_sent() {
    run(|| {
        let session = plain();
        let url = "http://127.0.0.1:1/";
        for request in [
            session.get("no address"),
            session.get("ftp://127.0.0.1/"),
            session.request("NOT A METHOD", url),
            session.get(url).header("no name", "x"),
            session.get(url).header("name", "line\nbreak"),
            session.get(url).cookie("name", "line\nbreak"),
        ] {
            let error = request.send().unwrap_err();
            assert!(matches!(error, Error::Request(_)), "{error}");
        }
        let unsayable = std::collections::HashMap::from([((1, 2), 3)]);
        let error = session.post(url).json(&unsayable).send().unwrap_err();
        assert!(matches!(error, Error::Json(_)), "{error}");
        assert_eq!(session.stats().requests, 0);
        assert!(Session::builder().base_url("x").build().is_err());
        assert!(Session::builder().proxy("socks5://x").build().is_err());
        assert!(Session::builder().root_certificates("x").build().is_err());
    });
}

#[test]
fn the_length_of_a_body_is_said_once_and_truly() {
    let server = Server::start(echo);
    run(|| {
        let (session, url) = (plain(), server.url("/"));
        let both = session
            .post(&url)
            .header("transfer-encoding", "Chunked")
            .header("content-length", "3");
        both.body("body").send().unwrap();
        let request = server.last();
        assert!(request.chunked && request.text() == "body", "{request:?}");
        assert_eq!(request.header("content-length"), "");
        let own = session.post(&url).header("content-length", "4");
        own.body("body").send().unwrap();
        assert_eq!(server.last().text(), "body");

        let post = |name: &'static str, value: &'static str| session.post(&url).header(name, value);
        for request in [
            post("content-length", "0").body("body"),
            post("content-length", "0").body_reader(&b"body"[..], None),
            post("content-length", "5").body("body"),
            post("content-length", "5"),
            post("content-length", "four").body("body"),
            post("transfer-encoding", "gzip").body("body"),
            post("transfer-encoding", "gzip, chunked").body("body"),
            post("transfer-encoding", "chunked"),
        ] {
            let what = format!("{request:?}");
            let error = request.send().expect_err(&what);
            assert!(matches!(error, Error::Request(_)), "{error}");
        }
    });
}

/// The server waits for the rest of it, so no answer of its is to be waited for.
#[test]
fn a_body_that_cannot_be_read_is_no_broken_connection() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        if request.target == "/to" {
            return ok(stream, "");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
        Ok(false)
    });
    run(|| {
        let session = plain();
        let from = session.get(server.url("/from")).send().unwrap();
        let to = session.post(server.url("/to")).body_reader(from, None);
        let error = to.send().unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
        assert_eq!(session.stats().kept, 0);
    });
}

/// Its early hints do not make up for the answer to whether it wants the body.
#[test]
fn a_server_that_hints_and_waits_is_sent_the_body() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")?;
        let mut request = request.clone();
        web::read_body(&mut request, stream)?;
        ok(stream, &request.body)
    });
    run(|| {
        let request = plain().post(server.url("/")).expect_continue();
        let response = request.body("late").send().unwrap();
        assert_eq!(response.text().unwrap(), "late");
    });
}

// Redirects.

/// `/301/x` leads to `/x` by that status, `/loop` to itself; all else is echoed.
fn redirecting(request: &Request, stream: &mut dyn Stream) -> io::Result<bool> {
    let path = request.target.trim_start_matches('/');
    if path == "loop" {
        return reply(stream, "302 Found", &[("Location", "/loop")], "");
    }
    match path.split_once('/') {
        Some((status, to)) if status.parse::<u16>().is_ok() => {
            let to = match to.starts_with("http") {
                true => to.to_owned(),
                false => format!("/{to}"),
            };
            reply(stream, status, &[("Location", &to)], "gone on")
        }
        _ => echo(request, stream),
    }
}

#[test]
fn redirects_are_followed_and_remembered() {
    let server = Server::start(redirecting);
    run(|| {
        let session = plain();
        let response = session.get(server.url("/301/307/end#part")).send().unwrap();
        assert_eq!(response.url().as_str(), server.url("/end#part"));
        let history = response.history().iter();
        let history: Vec<_> = history
            .map(|hop| (hop.status.as_u16(), hop.url.path().to_owned()))
            .collect();
        let expected = [(301, "/301/307/end"), (307, "/307/end")];
        assert_eq!(history, expected.map(|(n, path)| (n, path.to_owned())));
        assert_eq!(response.history()[0].headers["location"], "/307/end");
        assert!(response.text().unwrap().starts_with("GET /end\n"));
        assert_eq!(session.stats().redirects, 2);

        let error = session.get(server.url("/loop")).send().unwrap_err();
        assert!(matches!(&error, Error::TooManyRedirects(url) if url.path() == "/loop"));
        let short = session.get(server.url("/301/302/303/end")).redirects(2);
        assert!(matches!(short.send(), Err(Error::TooManyRedirects(_))));
        let none = session.get(server.url("/301/end")).redirects(0);
        let none = none.send().unwrap();
        assert_eq!((none.status().as_u16(), none.history().len()), (301, 0));
        assert_eq!(none.text().unwrap(), "gone on");
    });
    assert_eq!(server.connections(), 1, "small bodies are read");
}

#[test]
fn methods_and_bodies_change_by_the_standard() {
    let server = Server::start(redirecting);
    run(|| {
        let session = plain();
        let post = |path| session.post(server.url(path)).form([("a", "b")]);
        for path in ["/301/end", "/302/end", "/303/end"] {
            post(path).send().unwrap();
            let last = server.last();
            assert_eq!(
                (last.method.as_str(), last.body.len()),
                ("GET", 0),
                "{path}"
            );
            assert_eq!(last.header("content-type"), "");
        }
        for path in ["/307/end", "/308/end"] {
            post(path).send().unwrap();
            let last = server.last();
            assert_eq!(
                (last.method.as_str(), last.text().as_str()),
                ("POST", "a=b")
            );
        }
        session
            .put(server.url("/302/end"))
            .body("x")
            .send()
            .unwrap();
        assert_eq!(server.last().method, "PUT");
        // What was read of a stream cannot be had again.
        let request = session.post(server.url("/307/end"));
        let response = request.body_reader(&b"once"[..], None).send().unwrap();
        assert_eq!(response.status(), 307);
        session.head(server.url("/303/end")).send().unwrap();
        assert_eq!(server.last().method, "HEAD");
    });
}

#[test]
fn secrets_are_not_told_to_other_servers() {
    let (first, other) = (Server::start(redirecting), Server::start(echo));
    run(|| {
        let session = session_with_auth();
        let secret = |url: String| {
            let request = session.get(url).cookie("c", "d").header("x-open", "e");
            request.send().unwrap()
        };
        secret(first.url("/302/end"));
        assert_eq!(first.last().header("authorization"), "Basic YTpi");
        assert_eq!(first.last().header("cookie"), "c=d");
        secret(first.url(&format!("/302/{}", other.url("/end"))));
        let last = other.last();
        assert_eq!(
            (last.header("authorization"), last.header("cookie")),
            ("", "")
        );
        assert_eq!(last.header("x-open"), "e");
    });
}

// What comes back.

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// "hello", by the reference implementation.
const BROTLI: &[u8] = b"\x0b\x02\x80hello\x03";

#[test]
fn bodies_are_decompressed() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let (coding, body) = match request.target.as_str() {
            "/gzip" => ("gzip", gzip(b"hello")),
            "/deflate" => ("deflate", deflate(b"hello")),
            "/br" => ("br", BROTLI.to_vec()),
            "/trailing" => ("br", [BROTLI, b"what is this"].concat()),
            "/broken" => ("gzip", b"not at all".to_vec()),
            "/cut" => ("gzip", gzip(b"hello")[..12].to_vec()),
            "/unknown" => ("zstd", b"as it is".to_vec()),
            "/empty" => {
                let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\
                    Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
                return stream.write_all(head).map(|()| true);
            }
            _ => unreachable!(),
        };
        reply(stream, "200 OK", &[("Content-Encoding", coding)], body)
    });
    run(|| {
        let session = plain();
        let get = |path| session.get(server.url(path)).send().unwrap();
        for path in ["/gzip", "/deflate", "/br", "/trailing"] {
            let response = get(path);
            assert_eq!(response.header("content-encoding"), None, "{path}");
            assert_eq!(response.header("content-length"), None, "{path}");
            assert_eq!(response.text().unwrap(), "hello", "{path}");
        }
        assert_eq!(get("/empty").text().unwrap(), "");
        let unknown = get("/unknown");
        assert_eq!(unknown.header("content-encoding"), Some("zstd"));
        assert_eq!(unknown.text().unwrap(), "as it is");
        assert_eq!(
            server.connections(),
            1,
            "all bodies were read to their ends"
        );
        for path in ["/broken", "/cut"] {
            let error = get(path).bytes().unwrap_err();
            assert!(matches!(error, Error::Decode(_)), "{path}: {error}");
        }
        let request = session.get(server.url("/gzip")).header("range", "bytes=0-");
        request.send().unwrap();
        assert_eq!(server.last().header("accept-encoding"), "");

        let as_it_is = self::session(Session::builder().decompress(false));
        let response = as_it_is.get(server.url("/gzip")).send().unwrap();
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert_eq!(response.bytes().unwrap(), gzip(b"hello"));
        assert_eq!(server.last().header("accept-encoding"), "");
    });
}

/// What is compressed and never comes is not nothing.
#[test]
fn a_compressed_body_that_breaks_before_its_first_byte_is_an_error() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let coding = request.header("x-coding");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        if request.target == "/stalled" {
            // Until the client goes.
            let _ = stream.read(&mut [0]);
        }
        Ok(false)
    });
    run(|| {
        let get = |session: Session, path, coding| {
            let request = session.get(server.url(path)).header("x-coding", coding);
            request.send()?.bytes()
        };
        for coding in ["gzip", "deflate", "br"] {
            let read = only(|deadlines| deadlines.read = SOON);
            let stalled = get(read, "/stalled", coding);
            assert_eq!(phase_of(stalled), Some(Phase::Read), "{coding}");
            let error = get(plain(), "/cut", coding).expect_err(coding);
            assert!(matches!(error, Error::Io(_)), "{coding}: {error}");
        }
    });
}

#[test]
fn the_head_of_a_compressed_response_does_not_wait_for_its_body() {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let server = Server::start(move |_: &Request, stream: &mut dyn Stream| {
        let body = gzip(b"hello");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let told = opened.lock().unwrap().recv();
        told.map_err(io::Error::other)?;
        stream.write_all(&body)?;
        Ok(true)
    });
    run(|| {
        let response = plain().get(server.url("/")).send().unwrap();
        open.send(()).unwrap();
        assert_eq!(response.text().unwrap(), "hello");
    });
}

#[test]
fn two_compressions_are_left_as_they_are() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| {
        let codings = [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
        reply(stream, "200 OK", &codings, gzip(&gzip(b"hello")))
    });
    run(|| {
        let response = plain().get(server.url("/")).send().unwrap();
        let codings = response.headers().get_all("content-encoding");
        assert_eq!(codings.iter().count(), 2);
        assert_eq!(response.bytes().unwrap(), gzip(&gzip(b"hello")));
    });
}

#[test]
fn two_lengths_of_a_response_are_no_fault_of_the_request() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| {
        reply(stream, "200 OK", &[("Content-Length", "7")], "x")
    });
    run(|| {
        let result = plain().get(server.url("/")).send();
        assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
    });
}

#[test]
fn cookies_that_are_not_ascii_stay() {
    let server = Server::start(echo);
    run(|| {
        let session = plain();
        let url = server.url("/");
        let own = || session.get(&url).cookie("a", "ü");
        own().cookie("b", "2").send().unwrap();
        assert_eq!(server.last().header("cookie"), "a=ü; b=2");
        session.cookies().set(&url, "kept=1").unwrap();
        own().send().unwrap();
        assert_eq!(server.last().header("cookie"), "kept=1; a=ü");
    });
}

#[test]
fn errors_do_not_tell_passwords() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let host = request.header("host");
        let to = format!("http://me:secret@{host}/");
        match request.target.as_str() {
            "/404" => reply(stream, "404 Not Found", &[], ""),
            _ => reply(stream, "302 Found", &[("Location", &to)], ""),
        }
    });
    run(|| {
        let session = plain();
        let with = |path| format!("http://me:secret@{}{path}", server.address);
        let status = session.get(with("/404")).send().unwrap();
        for error in [
            status.raise_for_status().unwrap_err(),
            session.get(with("/")).send().unwrap_err(),
            session.get("ftp://me:secret@host/").send().unwrap_err(),
            session.get("http://me:secret@h st/").send().unwrap_err(),
        ] {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    });
}

/// No cap of the body counts it.
#[test]
fn a_line_that_never_ends_is_refused() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let start: &[u8] = match request.target.as_str() {
            "/head" => b"HTTP/1.1 200 OK\r\nx: ",
            "/asked" => b"HTTP/1.1 100 ",
            "/chunk" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: ",
        };
        stream.write_all(start)?;
        for _ in 0..64 {
            stream.write_all(&[b'x'; 64 * 1024])?;
        }
        Ok(false)
    });
    run(|| {
        let session = plain();
        let get = |path| session.get(server.url(path));
        for request in [
            get("/head"),
            get("/asked").expect_continue().body("x"),
            get("/chunk"),
            get("/trailer"),
        ] {
            let what = format!("{request:?}");
            let result = request.send().and_then(http::Response::bytes);
            assert!(
                matches!(result, Err(Error::Protocol(_))),
                "{what}: {result:?}"
            );
        }
    });
}

#[test]
fn texts_in_many_charsets() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let (kind, body): (_, &[u8]) = match request.target.as_str() {
            "/header" => ("text/html; charset=latin1", b"caf\xe9"),
            "/mark" => ("text/html", b"\xff\xfec\x00a\x00f\x00\xe9\x00"),
            _ => ("text/html", "café".as_bytes()),
        };
        reply(stream, "200 OK", &[("Content-Type", kind)], body)
    });
    run(|| {
        let session = plain();
        let get = |path| session.get(server.url(path)).send().unwrap();
        for path in ["/header", "/mark", "/neither"] {
            assert_eq!(get(path).text().unwrap(), "café", "{path}");
        }
        assert_eq!(get("/header").text_with("utf-8").unwrap(), "caf\u{fffd}");
        assert_eq!(get("/neither").text_with("latin1").unwrap(), "cafÃ©");
        assert!(matches!(
            get("/neither").text_with("klingon"),
            Err(Error::Request(_))
        ));
    });
}

#[test]
fn json_lines_and_pieces() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let body = match request.target.as_str() {
            "/json" => r#"{"n": [1, 2]}"#,
            _ => "one\r\ntwo\nthree",
        };
        ok(stream, body)
    });
    run(|| {
        let session = plain();
        let get = |path| session.get(server.url(path)).send().unwrap();
        let value: serde_json::Value = get("/json").json().unwrap();
        assert_eq!(value["n"][1], 2);
        let wrong = get("/json").json::<Vec<u8>>();
        assert!(matches!(wrong, Err(Error::Json(_))));
        let lines: Vec<_> = get("/lines").lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two", "three"]);
        let mut response = get("/lines");
        let mut piece = [0; 3];
        response.read_exact(&mut piece).unwrap();
        assert_eq!(&piece, b"one");
        assert_eq!(response.bytes().unwrap(), b"\r\ntwo\nthree");
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn bodies_of_every_framing() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let text: &[u8] = match request.target.as_str() {
            "/chunked" => {
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                3;x=y\r\none\r\n4\r\n two\r\n0\r\nTrailer: x\r\n\r\n"
            }
            "/until-close" => b"HTTP/1.1 200 OK\r\n\r\none two",
            "/old" => b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\none two",
            "/hints" => {
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\none two"
            }
            "/more" => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\none two, three",
            "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none two",
            "/cut-chunk" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\none",
            "/nonsense" => b"SSH-2.0-OpenSSH\r\n\r\n",
            "/silent" => b"",
            _ => unreachable!(),
        };
        stream.write_all(text)?;
        Ok(matches!(
            request.target.as_str(),
            "/chunked" | "/hints" | "/more"
        ))
    });
    run(|| {
        let session = plain();
        let get = |path| session.get(server.url(path)).send();
        for path in ["/chunked", "/hints", "/more", "/old", "/until-close"] {
            assert_eq!(get(path).unwrap().text().unwrap(), "one two", "{path}");
        }
        for path in ["/cut", "/cut-chunk"] {
            let mut response = get(path).unwrap();
            let error = response.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{path}");
            // It stays an error, and never looks like the end.
            assert!(response.read(&mut [0]).is_err(), "{path}");
        }
        assert!(matches!(get("/nonsense"), Err(Error::Protocol(_))));
        assert!(matches!(get("/silent"), Err(Error::Io(_))));
        let stats = session.stats();
        assert_eq!((stats.kept, stats.in_use), (0, 0), "{stats:?}");
    });
}

#[test]
fn a_body_has_a_cap_if_one_is_wanted() {
    let server =
        Server::start(
            |request: &Request, stream: &mut dyn Stream| match request.target.as_str() {
                "/bomb" => {
                    let body = gzip(&vec![0; 1_000_000]);
                    reply(stream, "200 OK", &[("Content-Encoding", "gzip")], body)
                }
                _ => ok(stream, "12345"),
            },
        );
    run(|| {
        let session = session(Session::builder().body_cap(5));
        let get = |path| session.get(server.url(path));
        assert_eq!(get("/").send().unwrap().text().unwrap(), "12345");
        for request in [get("/bomb"), get("/").body_cap(4)] {
            let mut response = request.send().unwrap();
            let error = response.read_to_end(&mut Vec::new()).unwrap_err();
            assert!(matches!(Error::from(error), Error::BodyTooLarge(4 | 5)));
        }
        let wide = get("/bomb").body_cap(1_000_000).send().unwrap();
        assert_eq!(wide.bytes().unwrap().len(), 1_000_000);
        assert_eq!(session.stats().in_use, 0);
    });
}

#[test]
fn a_status_can_be_an_error_that_tells_why() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        let status = request.target.trim_start_matches('/');
        let why = [("X-Why", "because")];
        reply(stream, status, &why, vec![b'x'; 100_000])
    });
    run(|| {
        let session = plain();
        let get = |path: &str| session.get(server.url(path)).send().unwrap();
        assert_eq!(get("/204").raise_for_status().unwrap().status(), 204);
        assert_eq!(get("/304").raise_for_status().unwrap().status(), 304);
        for status in [400, 404, 500, 503] {
            let error = get(&format!("/{status}")).raise_for_status().unwrap_err();
            assert_eq!(error.status().unwrap(), status);
            let Error::Status(error) = error else {
                panic!("{error}");
            };
            assert_eq!(error.headers["x-why"], "because");
            assert_eq!(error.body, [b'x'; http::StatusError::KEPT]);
            assert_eq!(error.url.path(), format!("/{status}"));
        }
    });
}

// Connections.

#[test]
fn a_response_has_its_connection_until_it_is_read_or_dropped() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| ok(stream, "12345"));
    run(|| {
        let session = plain();
        let get = || session.get(server.url("/")).send().unwrap();
        let counts = || {
            let stats = session.stats();
            (stats.in_use, stats.kept)
        };
        let mut response = get();
        assert_eq!(counts(), (1, 0));
        response.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(counts(), (0, 1), "at its last byte");
        let other = get();
        assert_eq!((counts(), server.connections()), ((1, 0), 1), "used again");
        drop(other);
        assert_eq!(counts(), (0, 0), "dropped before the end");
        server.wait_for_open(0);
        get().bytes().unwrap();
        assert_eq!((counts(), server.connections()), ((0, 1), 2));
        session.close_kept();
        assert_eq!(counts(), (0, 0));
        server.wait_for_open(0);
        let stats = session.stats();
        assert_eq!((stats.opened, stats.reused), (2, 1));
        assert_eq!((stats.done, stats.abandoned), (2, 1));
    });
}

#[test]
fn a_session_that_is_dropped_closes_what_it_kept() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| ok(stream, ""));
    run(|| {
        let session = plain();
        session.get(server.url("/")).send().unwrap();
        server.wait_for_open(1);
        drop(session);
    });
    must_end(|| server.wait_for_open(0));
}

#[test]
fn connections_are_not_kept_longer_than_they_should() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| ok(stream, ""));
    run(|| {
        let session = session(Session::builder().keep_alive(Duration::ZERO));
        for _ in 0..2 {
            session.get(server.url("/")).send().unwrap();
            assert_eq!(session.stats().kept, 0);
        }
    });
    assert_eq!(server.connections(), 2);
}

/// Answers when it is told to, and counts how many wait at once.
struct Gate {
    server: Server,
    open: mpsc::Sender<()>,
    arrived: mpsc::Receiver<Request>,
    most: Arc<AtomicUsize>,
}

fn gate() -> Gate {
    let (open, opened) = mpsc::channel();
    let (arrive, arrived) = mpsc::channel();
    let opened = Mutex::new(opened);
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::start(move |request: &Request, stream: &mut dyn Stream| {
        seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        let _ = arrive.send(request.clone());
        let told = opened.lock().unwrap().recv();
        now.fetch_sub(1, SeqCst);
        told.map_err(io::Error::other)?;
        ok(stream, "")
    });
    Gate {
        server,
        open,
        arrived,
        most,
    }
}

/// From the hub's own thread: what is waited for comes from the server's threads, but needs the hub.
fn receive<T>(receiver: &mpsc::Receiver<T>) -> T {
    loop {
        match receiver.try_recv() {
            Ok(value) => return value,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_more_connections_than_allowed_and_first_come_first_served() {
    let gate = gate();
    run(|| {
        let session = session(Session::builder().connections(3));
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let request = session.get(gate.server.url(&format!("/{n}")));
                let task = thread::spawn(move || request.send().unwrap().bytes().unwrap());
                // Each stands in line before the next one.
                until(|| session.stats().requests == n + 1);
                until(|| {
                    let stats = session.stats();
                    stats.in_use + stats.waiting == n as usize + 1
                });
                task
            })
            .collect();
        assert_eq!((session.stats().in_use, session.stats().waiting), (3, 7));
        let mut order = Vec::new();
        for _ in 0..10 {
            order.push(receive(&gate.arrived).target);
            if order.len() >= 3 {
                gate.open.send(()).unwrap();
            }
        }
        (0..2).for_each(|_| gate.open.send(()).unwrap());
        tasks
            .into_iter()
            .for_each(|task| drop(task.join().unwrap()));
        order[..3].sort();
        let expected: Vec<_> = (0..10).map(|n| format!("/{n}")).collect();
        assert_eq!(order, expected);
        assert_eq!(session.stats().in_use, 0);
    });
    assert_eq!(gate.most.load(SeqCst), 3);
    assert_eq!(gate.server.connections(), 3);
}

#[test]
fn who_waits_for_one_host_holds_up_nobody_else() {
    let (gate, other) = (gate(), Server::start(echo));
    run(|| {
        let session = session(Session::builder().connections(3).connections_per_host(1));
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let request = session.get(gate.server.url("/"));
                thread::spawn(move || request.send().unwrap().bytes().unwrap())
            })
            .collect();
        until(|| session.stats().waiting == 4);
        session.get(other.url("/")).send().unwrap().bytes().unwrap();
        (0..5).for_each(|_| gate.open.send(()).unwrap());
        tasks
            .into_iter()
            .for_each(|task| drop(task.join().unwrap()));
    });
    assert_eq!(gate.most.load(SeqCst), 1);
}

#[test]
fn a_kept_connection_gives_way_to_one_that_is_needed() {
    let (one, two) = (Server::start(echo), Server::start(echo));
    run(|| {
        let session = session(Session::builder().connections(1));
        for server in [&one, &two, &one] {
            session
                .get(server.url("/"))
                .send()
                .unwrap()
                .bytes()
                .unwrap();
            assert_eq!(session.stats().kept, 1);
        }
    });
    assert_eq!((one.connections(), two.connections()), (2, 1));
}

#[test]
fn the_wait_for_a_connection_does_not_count_unless_asked() {
    let gate = gate();
    run(|| {
        let total = Duration::from_millis(300);
        let session = session(Session::builder().connections(1).timeout(total));
        let holder = session.get(gate.server.url("/")).timeout(HOUR);
        let holder = thread::spawn(move || holder.send().unwrap().bytes().unwrap());
        until(|| session.stats().in_use == 1);

        let url = gate.server.url("/");
        let counted = session.get(&url).deadlines(Deadlines {
            total: SOON,
            total_counts_pool: true,
            ..Deadlines::NONE
        });
        assert_eq!(phase_of(counted.send()), Some(Phase::Total));
        let own = session.get(&url).deadlines(Deadlines {
            pool: SOON,
            ..Deadlines::NONE
        });
        assert_eq!(phase_of(own.send()), Some(Phase::Pool));

        let patient = session.get(&url);
        let patient = thread::spawn(move || patient.send().map(|response| response.timings()));
        until(|| session.stats().waiting == 1);
        thread::sleep(total * 2);
        (0..2).for_each(|_| gate.open.send(()).unwrap());
        holder.join().unwrap();
        let timings = patient.join().unwrap().unwrap();
        assert!(timings.pool >= total * 2, "{timings:?}");
    });
}

#[test]
fn who_leaves_the_line_leaves_no_hole() {
    let gate = gate();
    run(|| {
        let session = session(Session::builder().connections(2).connections_per_host(2));
        let send = |session: &Session| {
            let request = session.get(gate.server.url("/"));
            thread::spawn(move || drop(request.send().unwrap().bytes().unwrap()))
        };
        let first = send(&session);
        let cancelled: Vec<_> = (0..6).map(|_| send(&session)).collect();
        let last = send(&session);
        until(|| session.stats().waiting == 6);
        cancelled.iter().for_each(thread::JoinHandle::cancel);
        // Before anything comes: whoever has its answer already does not wait for it, and is not thrown.
        for task in cancelled {
            assert!(task.join().is_err());
        }
        // Of the one that was cancelled while it had a connection, its server waits for a word, too.
        (0..4).for_each(|_| gate.open.send(()).unwrap());
        first.join().unwrap();
        last.join().unwrap();
        let stats = session.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
        send(&session).join().unwrap();
    });
}

// A kept connection that the server closes.

/// The second request on a connection is not answered.
fn forgetful(request: &Request, stream: &mut dyn Stream) -> io::Result<bool> {
    match request.nth {
        0 => ok(stream, &request.body),
        _ => Ok(false),
    }
}

#[test]
fn a_stale_connection_is_found_out_and_the_request_repeated() {
    let server = Server::start(forgetful);
    run(|| {
        let session = plain();
        let url = server.url("/");
        let warm = || drop(session.post(&url).body("warm").send().unwrap().bytes());
        warm();
        for request in [
            session.get(&url),
            session.options(&url),
            session.delete(&url),
            session.put(&url).body("again"),
        ] {
            let text = request.send().unwrap().text().unwrap();
            assert!(text.is_empty() || text == "again");
        }
        assert_eq!(session.stats().repeated, 4);

        // The server may have done what it did not answer to.
        let error = session.post(&url).body("once").send().unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");
        warm();
        let patch = session.patch(&url).body("once").send();
        assert!(matches!(patch, Err(Error::Io(_))));
        // Nobody has the bytes any more.
        warm();
        let stream = session.put(&url).body_reader(&b"once"[..], Some(4)).send();
        assert!(matches!(stream, Err(Error::Io(_))));
        assert_eq!(session.stats().repeated, 4);
    });
}

#[test]
fn a_new_connection_that_breaks_is_an_error() {
    let server = Server::start(|_: &Request, _: &mut dyn Stream| Ok(false));
    run(|| {
        let session = plain();
        assert!(matches!(
            session.get(server.url("/")).send(),
            Err(Error::Io(_))
        ));
        assert_eq!((session.stats().repeated, session.stats().failed), (0, 1));
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn repeating_can_be_turned_off() {
    let server = Server::start(forgetful);
    run(|| {
        let session = session(Session::builder().repeat(false));
        let get = || session.get(server.url("/")).send();
        get().unwrap().bytes().unwrap();
        assert!(matches!(get(), Err(Error::Io(_))));
    });
}

#[test]
fn a_response_that_has_begun_is_not_repeated() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        if request.nth == 0 {
            return ok(stream, "");
        }
        stream.write_all(b"HTTP/1.1 2")?;
        Ok(false)
    });
    run(|| {
        let session = plain();
        let get = || session.get(server.url("/")).send();
        get().unwrap();
        assert!(matches!(get(), Err(Error::Io(_))));
        assert_eq!(session.stats().repeated, 0);
    });
}

#[test]
fn a_connection_the_server_has_closed_is_not_used() {
    let server = Server::start(|_: &Request, stream: &mut dyn Stream| {
        ok(stream, "")?;
        Ok(false)
    });
    run(|| {
        let session = plain();
        for _ in 0..3 {
            // Also a POST, which could not be repeated.
            session.post(server.url("/")).body("x").send().unwrap();
            server.wait_for_open(0);
        }
        assert_eq!((session.stats().repeated, session.stats().reused), (0, 0));
    });
}

#[test]
fn a_connection_that_was_closed_unseen_costs_a_get_nothing_but_time() {
    let (go, begun) = mpsc::channel();
    let begun = Mutex::new(begun);
    let server = Server::start(move |request: &Request, stream: &mut dyn Stream| {
        if request.nth == 0 {
            return ok(stream, "");
        }
        // First the client waits, so that its hub is told of all that comes; then it has the answer.
        begun.lock().unwrap().recv().unwrap();
        ok(stream, "")?;
        begun.lock().unwrap().recv().unwrap();
        Ok(false)
    });
    run(|| {
        let session = plain();
        let url = server.url("/");
        for request in [session.get(&url), session.post(&url).body("x")] {
            session.get(&url).send().unwrap();
            let before = session.stats();
            let now = go.clone();
            thread::spawn(move || now.send(()).unwrap());
            session.get(&url).send().unwrap();
            go.send(()).unwrap();
            // It blocks the OS thread: the hub cannot look.
            server.wait_for_open(0);
            request.send().unwrap();
            let stats = session.stats();
            let repeated = stats.repeated - before.repeated;
            // What would not be repeated is not sent over it.
            assert_eq!(stats.reused - before.reused, 1 + repeated);
            assert_eq!(stats.opened - before.opened, 1);
            session.close_kept();
            server.wait_for_open(0);
        }
        assert_eq!(session.stats().repeated, 1);
    });
}

// Deadlines.

#[test]
fn every_deadline_is_named_that_passes() {
    // Each phase lasts for ever.
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        match request.target.as_str() {
            "/silent" => {}
            "/head" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?,
            "/body" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")?;
            }
            "/trickle" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
                while stream.write_all(b".").is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            _ => unreachable!(),
        }
        // Until the client goes.
        let _ = stream.read(&mut [0]);
        Ok(false)
    });
    let silence = Silence::new();
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = (deaf.local_addr().unwrap(), deaf);
    run(|| {
        let get = |session: &Session, path| session.get(server.url(path)).send();
        let first_byte = only(|deadlines| deadlines.first_byte = SOON);
        assert_eq!(
            phase_of(get(&first_byte, "/silent")),
            Some(Phase::FirstByte)
        );
        let read = only(|deadlines| deadlines.read = SOON);
        assert_eq!(phase_of(get(&read, "/head")), Some(Phase::Read));
        let mut body = get(&read, "/body").unwrap();
        let error = body.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(Error::from(error).phase(), Some(Phase::Read));
        let total = only(|deadlines| deadlines.total = SOON);
        assert_eq!(phase_of(get(&total, "/silent")), Some(Phase::Total));
        let trickle = get(&total, "/trickle").unwrap();
        assert_eq!(phase_of(trickle.bytes()), Some(Phase::Total));

        let connect = only(|deadlines| deadlines.connect = SOON);
        let url = format!("http://{}/", silence.address);
        assert_eq!(phase_of(connect.get(url).send()), Some(Phase::Connect));
        let tls = only(|deadlines| deadlines.tls = SOON);
        let url = format!("https://{}/", deaf.0);
        assert_eq!(phase_of(tls.get(url).send()), Some(Phase::Tls));
        let write = only(|deadlines| deadlines.write = SOON);
        let url = format!("http://{}/", deaf.0);
        let endless = io::repeat(b'x');
        let request = write.put(&url).body_reader(endless, None);
        assert_eq!(phase_of(request.send()), Some(Phase::Write));
        let dns = only(|deadlines| deadlines.dns = Some(Duration::ZERO));
        assert_eq!(phase_of(dns.get("http://a.test/").send()), Some(Phase::Dns));

        for session in [first_byte, read, total, connect, tls, write, dns] {
            let stats = session.stats();
            assert_eq!((stats.in_use, stats.kept), (0, 0), "{stats:?}");
            assert_eq!(stats.failed, stats.timed_out, "{stats:?}");
        }
    });
}

#[test]
fn the_whole_bounds_a_body_that_is_never_there() {
    struct Never;
    impl Read for Never {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            thread::sleep(HOUR);
            Ok(0)
        }
    }
    let server = Server::start(echo);
    run(|| {
        let session = only(|deadlines| deadlines.total = SOON);
        let request = session.post(server.url("/")).body_reader(Never, None);
        assert_eq!(phase_of(request.send()), Some(Phase::Total));
    });
}

#[test]
fn a_request_has_deadlines_of_its_own() {
    let gate = gate();
    run(|| {
        let session = session(Session::builder().timeout(HOUR));
        let request = session.get(gate.server.url("/"));
        let brief = request.timeout(Duration::from_millis(20));
        assert_eq!(phase_of(brief.send()), Some(Phase::Total));
    });
}

#[test]
fn a_timeout_around_it_leaves_nothing_behind() {
    let gate = gate();
    run(|| {
        let session = plain();
        let url = gate.server.url("/");
        let brief = Duration::from_millis(20);
        let result = time::timeout(brief, || session.get(&url).send());
        assert!(result.is_err());
        let stats = session.stats();
        assert_eq!((stats.in_use, stats.abandoned), (0, 1), "{stats:?}");
    });
}

// Names, proxies, TLS.

#[test]
fn another_address_is_tried_while_one_is_silent() {
    let (silence, server) = (Silence::new(), Server::start(echo));
    run(|| {
        let addresses = [silence.address, server.address];
        let session = session(Session::builder().resolve("two.test", &addresses));
        let response = session.get("http://two.test/").send().unwrap();
        assert_eq!(response.url().host_str(), Some("two.test"));
        assert!(response.text().unwrap().contains("host: two.test\n"));
    });
}

#[test]
fn a_host_that_is_not_there() {
    run(|| {
        let session = plain();
        let error = session.get("http://no.such.host.invalid/").send();
        assert!(matches!(error, Err(Error::Dns(_))), "{error:?}");
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", gone.local_addr().unwrap());
        drop(gone);
        let error = session.get(url).send();
        assert!(matches!(error, Err(Error::Connect(_))), "{error:?}");
        assert_eq!(session.stats().in_use, 0);
    });
}

/// A proxy that fetches pages itself (it echoes) and connects with one server.
fn proxy(to: std::net::SocketAddr) -> Server {
    Server::start(move |request: &Request, stream: &mut dyn Stream| {
        if request.method != "CONNECT" {
            return echo(request, stream);
        }
        if request.header("proxy-authorization").is_empty() {
            return reply(stream, "407 Who Are You", &[], "");
        }
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let mut server = std::net::TcpStream::connect(to)?;
        tunnel(stream, &mut server)?;
        Ok(false)
    })
}

/// One side after the other, as TLS and one request take turns.
fn tunnel(client: &mut dyn Stream, server: &mut std::net::TcpStream) -> io::Result<()> {
    let mut buffer = [0; 65536];
    server.set_read_timeout(Some(Duration::from_millis(50)))?;
    loop {
        let amount = client.read(&mut buffer)?;
        if amount == 0 {
            return Ok(());
        }
        server.write_all(&buffer[..amount])?;
        while let Ok(amount @ 1..) = server.read(&mut buffer) {
            client.write_all(&buffer[..amount])?;
        }
    }
}

#[test]
fn a_proxy_is_asked_for_pages_and_for_connections() {
    let server = Server::start_tls(false, echo);
    let proxy = proxy(server.address);
    run(|| {
        let through = |credentials: &str| {
            session(
                Session::builder()
                    .proxy(&format!("http://{credentials}{}", proxy.address))
                    .root_certificates(web::ROOT),
            )
        };
        let session = through("me:secret@");
        let page = session.get("http://far.test:81/x?y").send().unwrap();
        let text = page.text().unwrap();
        assert!(text.starts_with("GET http://far.test:81/x?y\n"), "{text}");
        assert!(text.contains("proxy-authorization: Basic bWU6c2VjcmV0\n"));
        assert!(text.contains("host: far.test:81\n"));

        let secret = session.get("https://secure.test/x").send().unwrap();
        let text = secret.text().unwrap();
        assert!(text.starts_with("GET /x\n"), "{text}");
        assert!(!text.contains("proxy-authorization"));
        assert_eq!(proxy.last().target, "secure.test:443");

        let refused = through("").get("https://secure.test/").send();
        assert!(matches!(refused, Err(Error::Proxy(status)) if status == 407));
    });
}

#[test]
fn certificates_are_looked_at() {
    let server = Server::start_tls(false, echo);
    run(|| {
        let trusting = session(Session::builder().root_certificates(web::ROOT));
        for _ in 0..2 {
            let response = trusting.get(server.https("/")).send().unwrap();
            assert!(response.text().unwrap().starts_with("GET /\n"));
        }
        assert_eq!(trusting.stats().reused, 1);
        assert!(trusting.stats().opened == 1);
        let by_address = format!("https://{}/", server.address);
        trusting.get(by_address).send().unwrap();

        let error = plain().get(server.https("/")).send();
        assert!(matches!(error, Err(Error::Tls(_))), "{error:?}");
        let other_name = session(
            Session::builder()
                .root_certificates(web::ROOT)
                .resolve("other.test", &[server.address]),
        );
        let error = other_name.get("https://other.test/").send();
        assert!(matches!(error, Err(Error::Tls(_))), "{error:?}");
        let not_tls = format!("http://{}/", server.address);
        assert!(plain().get(not_tls).send().is_err());
    });
}

#[test]
fn a_client_shows_its_certificate() {
    let server = Server::start_tls(true, echo);
    run(|| {
        let builder = || {
            Session::builder()
                .root_certificates(web::ROOT)
                .only_those_root_certificates()
        };
        let known = session(builder().client_certificate(web::CLIENT, web::CLIENT_KEY));
        let large = vec![b'x'; 100_000];
        let response = known.post(server.https("/")).body(large).send().unwrap();
        assert!(response.bytes().unwrap().len() > 100_000);
        let stranger = session(builder()).get(server.https("/")).send();
        assert!(stranger.is_err());
    });
}

// Looking at it.

#[test]
fn a_hook_is_told_of_all_that_happens() {
    let server =
        Server::start(
            |request: &Request, stream: &mut dyn Stream| match request.target.as_str() {
                "/close" if request.nth > 0 => Ok(false),
                "/break" => Ok(false),
                _ => redirecting(request, stream),
            },
        );
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = told.clone();
    run(|| {
        let session = session(Session::builder().on_event(move |event| {
            let what = match event.what {
                What::Started { method } => format!("started {method}"),
                What::Dns { addresses } => format!("dns {}", addresses.len()),
                What::Connected { reused, peer } => {
                    assert!(peer.is_some());
                    format!("connected {reused}")
                }
                What::Sent => "sent".to_owned(),
                What::FirstByte => "first byte".to_owned(),
                What::Redirected { status, to } => format!("{} {}", status.as_u16(), to.path()),
                What::Repeated => "repeated".to_owned(),
                What::Done { status, bytes } => format!("done {} {bytes}", status.as_u16()),
                What::Failed { .. } => "failed".to_owned(),
                What::Abandoned => "abandoned".to_owned(),
                _ => unreachable!(),
            };
            let line = format!("{} {} {what}", event.request, event.url.path());
            tells.lock().unwrap().push(line);
        }));
        let get = |path| session.get(server.url(path)).send();
        let check = |expected: &[&str]| {
            let told = std::mem::take(&mut *told.lock().unwrap());
            assert_eq!(told, expected);
        };
        get("/302/loop").unwrap_err();
        told.lock().unwrap().clear();
        session.close_kept();
        let length = get("/302/x").unwrap().bytes().unwrap().len();
        check(&[
            "1 /302/x started GET",
            "1 /302/x dns 1",
            "1 /302/x connected false",
            "1 /302/x sent",
            "1 /302/x first byte",
            "1 /302/x 302 /x",
            "1 /x connected true",
            "1 /x sent",
            "1 /x first byte",
            &format!("1 /x done 200 {length}"),
        ]);
        get("/close").unwrap().bytes().unwrap();
        check(&[
            "2 /close started GET",
            "2 /close connected true",
            "2 /close sent",
            "2 /close repeated",
            "2 /close dns 1",
            "2 /close connected false",
            "2 /close sent",
            "2 /close first byte",
            &format!("2 /close done 200 {}", length + 4),
        ]);
        drop(get("/x").unwrap());
        assert_eq!(told.lock().unwrap().pop().unwrap(), "3 /x abandoned");
        get("/break").unwrap_err();
        assert_eq!(told.lock().unwrap().pop().unwrap(), "4 /break failed");
        let stats = session.stats();
        let ends = stats.done + stats.failed + stats.abandoned;
        assert_eq!((stats.requests, ends), (5, 5), "{stats:?}");
        assert_eq!((stats.redirects, stats.repeated), (11, 1), "{stats:?}");
    });
}

#[test]
fn timings_add_up() {
    let server = Server::start_tls(false, |_: &Request, stream: &mut dyn Stream| {
        std::thread::sleep(Duration::from_millis(20));
        ok(stream, "12345")
    });
    run(|| {
        let start = Instant::now();
        let session = session(Session::builder().root_certificates(web::ROOT));
        let mut response = session.get(server.https("/")).send().unwrap();
        let timings = response.timings();
        assert_eq!(timings.total, None);
        assert!(timings.first_byte >= Duration::from_millis(20));
        for phase in [timings.dns, timings.connect, timings.tls, timings.send] {
            assert!(phase > Duration::ZERO, "{timings:?}");
        }
        response.read_to_end(&mut Vec::new()).unwrap();
        let total = response.timings().total.unwrap();
        assert!(timings.headers <= total && total <= start.elapsed());
        let phases = timings.dns + timings.connect + timings.tls + timings.first_byte;
        assert!(phases <= timings.headers, "{timings:?}");
    });
}

// Many at once.

/// All are there at the same time, or none is answered.
#[test]
fn a_hundred_gets_wait_together() {
    let all = Arc::new(Barrier::new(100));
    let server = Server::start(move |_: &Request, stream: &mut dyn Stream| {
        all.wait();
        std::thread::sleep(Duration::from_millis(200));
        ok(stream, "at last")
    });
    run(|| {
        let session = plain();
        let start = Instant::now();
        let url = server.url("/");
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let request = session.get(&url);
                thread::spawn(move || request.send().unwrap().text().unwrap())
            })
            .collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), "at last");
        }
        // One after the other they would take 20 s.
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(session.stats().done, 100);
    });
}

#[test]
fn plain_threads_and_several_hubs_share_a_session() {
    let server = Server::start(echo);
    let session = session(Session::builder().connections(4));
    let fetch = |session: &Session| {
        for _ in 0..20 {
            let response = session.get(server.url("/")).send().unwrap();
            assert!(response.text().unwrap().starts_with("GET /"));
        }
    };
    must_end(|| {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| fetch(&session));
            }
            let runtime = sylvan::runtime::Runtime::builder().workers(2).build();
            runtime.unwrap().run(|| {
                thread::scope(|scope| {
                    for _ in 0..10 {
                        scope.spawn(|| fetch(&session));
                    }
                });
            });
        });
    });
    let stats = session.stats();
    assert_eq!((stats.done, stats.in_use, stats.waiting), (260, 0, 0));
    assert!(server.connections() <= 260);
}
