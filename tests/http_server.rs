//! `http::Server`: what it takes and what it refuses, deadlines and limits, ends.
//!
//! The clients are std's sockets on OS threads, which know nothing of the server's runtime, and curl where it is installed.

#[path = "http_server/malformed.rs"]
mod malformed;
#[path = "http_server/support.rs"]
mod server;
mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use server::{Answer, Client, Site, curl, raise_descriptor_limit, until, wrk};
use support::{AGES, HOUR, Numbers, assert_success, in_child, is_child, must_end, scaled};
use sylvan::http::Server;
use sylvan::http::server::{Body, Request, Respond, Response, StatusCode, header};
use sylvan::net::TcpListener;
use sylvan::sync::Semaphore;
use sylvan::{thread, time};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn bind() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

// ---- requests and answers

#[test]
fn a_request_is_answered() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            format!(
                "{} {} from {}",
                request.method(),
                request.uri(),
                request.body().peer_addr().ip()
            )
        });
        let mut client = site.connect();
        let answer = client.ask("GET /path?query=1 HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), "GET /path?query=1 from 127.0.0.1");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(answer.header("date").is_some());
    });
}

#[test]
fn a_connection_is_kept_and_closed_as_the_client_says() {
    must_end(|| {
        let site = Site::start(bind(), |_| "hello");
        let mut client = site.connect();
        for _ in 0..100 {
            assert_eq!(
                client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
                "hello"
            );
        }
        assert_eq!(site.serving.stats().accepted, 1);
        let last = client.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert_eq!(last.header("connection"), Some("close"));
        assert!(client.has_ended());

        // The older version closes unless it is asked not to.
        let mut client = site.connect();
        assert_eq!(client.ask("GET / HTTP/1.0\r\n\r\n").text(), "hello");
        assert!(client.has_ended());
        let mut client = site.connect();
        for _ in 0..2 {
            let answer = client.ask("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
            assert_eq!(answer.text(), "hello");
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    must_end(|| {
        // The first ones are the slowest.
        let site = Site::start(bind(), |request: Request| {
            let number: u64 = request.uri().path()[1..].parse().unwrap();
            thread::sleep(ms(20_u64.saturating_sub(number)));
            number.to_string()
        });
        let mut client = site.connect();
        let all: String = (0..50)
            .map(|number| format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .collect();
        client.send(&all);
        for number in 0..50 {
            assert_eq!(client.receive().text(), number.to_string());
        }
    });
}

#[test]
fn bodies_come_in_whatever_pieces() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| request.into_body().bytes());
        let mut client = site.connect();
        let answer = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(answer.text(), "hello");

        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in [
            "3\r\nhel\r\n",
            "2;ext=1\r\nl",
            "o\r\n",
            "0\r\ntrailer: x\r\n",
            "\r\n",
        ] {
            client.send(piece);
            std::thread::sleep(ms(2));
        }
        assert_eq!(client.receive().text(), "hello");

        // Slowly, byte by byte, the head too.
        for byte in "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nslow".chars() {
            client.send(&byte.to_string());
        }
        assert_eq!(client.receive().text(), "slow");

        // As long as it may be, and more than any buffer holds.
        let long = "x".repeat(2 << 20);
        client.send(&format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{long}",
            long.len()
        ));
        assert_eq!(client.receive().text(), long);
    });
}

#[test]
fn a_body_that_nobody_reads_does_no_harm() {
    must_end(|| {
        let site = Site::start(bind(), |_| "no, thanks");
        let mut client = site.connect();
        let answer = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(answer.text(), "no, thanks");
        // More than the server drains: the answer must arrive all the same.
        let mut client = site.connect();
        let long = "x".repeat(300_000);
        let _ = client.try_send(&format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{long}"
        ));
        assert_eq!(client.receive().text(), "no, thanks");
    });
}

#[test]
fn a_handler_streams_both_ways_at_once() {
    must_end(|| {
        // Each line is answered before the next one comes.
        let site = Site::start(bind(), |request: Request| {
            let mut body = request.into_body();
            Response::new(Body::from_writer(move |writer| {
                let mut buffer = [0; 100];
                loop {
                    let length = body.read(&mut buffer)?;
                    if length == 0 {
                        return Ok(());
                    }
                    writer.write_all(&buffer[..length].to_ascii_uppercase())?;
                    writer.flush()?;
                }
            }))
        });
        let mut client = site.connect();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(
            client.receive_head().header("transfer-encoding"),
            Some("chunked")
        );
        for word in ["one", "two", "three"] {
            client.send(&format!("{:x}\r\n{word}\r\n", word.len()));
            assert_eq!(client.receive_chunk(), word.to_uppercase());
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.receive_chunk(), "");
        assert_eq!(client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(), "");
    });
}

#[test]
fn streamed_bodies_have_the_length_they_promise() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            let length = 100_000;
            Response::new(match request.uri().path() {
                "/reader" => Body::from_reader(std::io::repeat(b'x').take(length)),
                "/exact" => Body::from_sized_reader(std::io::repeat(b'x'), length),
                "/short" => Body::from_sized_reader(std::io::repeat(b'x').take(10), length),
                "/fails" => Body::from_writer(|writer| {
                    writer.write_all(b"some")?;
                    writer.flush()?;
                    Err(std::io::Error::other("this one was told to fail"))
                }),
                "/panics" => Body::from_writer(|writer| {
                    writer.write_all(b"some")?;
                    writer.flush()?;
                    panic!("this one was told to panic");
                }),
                _ => Body::empty(),
            })
        });
        let get = |path: &str| {
            let mut client = site.connect();
            client.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            client.try_receive()
        };
        let whole = get("/reader").unwrap();
        assert_eq!(whole.header("content-length"), None);
        assert_eq!(whole.body.len(), 100_000);
        let whole = get("/exact").unwrap();
        assert_eq!(whole.header("content-length"), Some("100000"));
        assert_eq!(whole.body.len(), 100_000);
        // What is not whole does not look so.
        for path in ["/short", "/fails", "/panics"] {
            assert!(get(path).is_none(), "{path}");
        }
    });
}

#[test]
fn head_is_answered_without_a_body() {
    must_end(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let site = Site::start(bind(), move |request: Request| {
            let count = count.clone();
            match request.uri().path() {
                "/whole" => Response::new(Body::from("hello")),
                _ => Response::new(Body::from_writer(move |writer| {
                    let _ends = Ends(count);
                    loop {
                        writer.write_all(&[0; 10_000])?;
                    }
                })),
            }
        });
        let mut client = site.connect();
        client.send("HEAD /whole HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.receive_head().header("content-length"), Some("5"));
        // Nobody wants the endless body: what writes it ends.
        client.send("HEAD /endless HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.receive_head().status, 200);
        until(|| ended.load(SeqCst) == 1);
        client.send("HEAD /whole HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.receive_head().status, 200);
    });
}

/// Counts when it is dropped.
struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_client_that_expects_is_told_to_go_on_when_the_body_is_read() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            if request.uri().path() == "/no" {
                return StatusCode::FORBIDDEN.respond();
            }
            request.into_body().text().respond()
        });
        let expect = "host: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
        let mut client = site.connect();
        client.send(&format!("POST /yes HTTP/1.1\r\n{expect}"));
        assert_eq!(client.receive_head().status, 100);
        client.send("hello");
        assert_eq!(client.receive().text(), "hello");

        let mut client = site.connect();
        client.send(&format!("POST /no HTTP/1.1\r\n{expect}"));
        assert_eq!(client.receive_head().status, 403);
        // Too long by what it says itself: not even the handler is asked.
        let mut client = site.connect();
        client.send("POST /yes HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3000000\r\n\r\n");
        assert_eq!(client.receive_head().status, 413);
    });
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    must_end(|| {
        let site = Site::start(bind().max_body(10), |request: Request| {
            request.into_body().text()
        });
        let post = |head: &str, body: &str| {
            let mut client = site.connect();
            let _ = client.try_send(&format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{body}"
            ));
            client.receive().status
        };
        assert_eq!(post("content-length: 10", "0123456789"), 200);
        assert_eq!(post("content-length: 11", "0123456789x"), 413);
        assert_eq!(
            post("transfer-encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n"),
            200
        );
        assert_eq!(
            post(
                "transfer-encoding: chunked",
                "b\r\n0123456789x\r\n0\r\n\r\n"
            ),
            413
        );
    });
}

#[test]
fn a_body_that_nobody_reads_keeps_no_hub_busy() {
    if !is_child() {
        // Alone: it looks at the time that the process computes.
        let output = in_child("a_body_that_nobody_reads_keeps_no_hub_busy", &[]);
        return assert_success(&output);
    }
    must_end(|| {
        let sleep = ms(1000);
        let site = Site::start(bind(), move |request: Request| {
            drop(request.into_body());
            thread::sleep(sleep);
            "no, thanks"
        });
        let mut client = site.connect();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
        client.send(&"x".repeat(1000));
        std::thread::sleep(ms(50));
        client.send(&"x".repeat(100_000));
        let before = cpu_time();
        assert_eq!(client.receive().text(), "no, thanks");
        let used = cpu_time() - before;
        assert!(used < sleep / 2, "{used:?}");
    });
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it only writes to what it is given.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

// ---- what a handler may do

#[test]
fn a_handler_that_sleeps_keeps_nobody_waiting() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            if request.uri().path() == "/slow" {
                thread::sleep(HOUR);
            }
            "quick"
        });
        let mut slow: Vec<_> = (0..20).map(|_| site.connect()).collect();
        for client in &mut slow {
            client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
        }
        let mut client = site.connect();
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
            "quick"
        );
    });
}

#[test]
fn a_handler_that_panics_answers_500_and_the_connection_goes_on() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            assert!(
                request.uri().path() != "/panic",
                "this handler was told to panic"
            );
            "fine"
        });
        let mut client = site.connect();
        for number in 1..=3 {
            let answer = client.ask("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(answer.status, 500);
            assert_eq!(site.serving.stats().panicked, number);
            assert_eq!(
                client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
                "fine"
            );
        }
    });
}

#[test]
fn errors_are_statuses() {
    must_end(|| {
        let site = Site::start(
            bind(),
            |request: Request| -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
                match request.uri().path() {
                    "/io" => fs::read("/nowhere")?.respond(),
                    "/parse" => "x".parse::<u32>()?.to_string().respond(),
                    "/text" => request.into_body().text()?.respond(),
                    _ => (StatusCode::NOT_FOUND, "no such page").respond(),
                };
                Ok((StatusCode::NOT_FOUND, "no such page").respond())
            },
        );
        let mut client = site.connect();
        for (request, status) in [
            ("GET /io HTTP/1.1\r\nhost: a\r\n\r\n", 500),
            ("GET /parse HTTP/1.1\r\nhost: a\r\n\r\n", 500),
            (
                "POST /text HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n\u{7f}",
                404,
            ),
            ("GET /other HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        ] {
            assert_eq!(client.ask(request).status, status, "{request}");
        }
        // What is no UTF-8 is the client's fault.
        client.send("POST /text HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n");
        client.send_bytes(b"\xff");
        assert_eq!(client.receive().status, 400);
    });
}

#[test]
fn an_error_that_is_not_of_the_body_is_the_handlers_failure() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| -> std::io::Result<()> {
            Err(match request.uri().path() {
                "/late" => ErrorKind::TimedOut.into(),
                "/data" => ErrorKind::InvalidData.into(),
                "/large" => ErrorKind::FileTooLarge.into(),
                _ => time::timeout(ms(1), || thread::sleep(HOUR))
                    .unwrap_err()
                    .into(),
            })
        });
        let mut client = site.connect();
        for path in ["/late", "/data", "/large", "/deadline"] {
            let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            assert_eq!(answer.status, 500, "{path}");
        }
    });
}

#[test]
fn a_body_that_was_too_long_stays_so() {
    must_end(|| {
        let site = Site::start(bind().max_body(10), |request: Request| {
            let mut body = request.into_body();
            let mut read = || {
                let mut buffer = [0; 100];
                let length = body.read(&mut buffer).map_err(|error| error.kind());
                length.map(|length| buffer[..length].len())
            };
            format!("{:?} {:?} {:?}", read(), read(), read())
        });
        let mut client = site.connect();
        // Without the second piece the third would not be too much.
        let answer = client.ask(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             8\r\n12345678\r\n8\r\n12345678\r\n2\r\n12\r\n0\r\n\r\n",
        );
        assert_eq!(answer.text(), "Ok(8) Err(FileTooLarge) Err(FileTooLarge)");
    });
}

#[test]
fn a_length_that_a_handler_claims_wrongly_is_corrected() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| {
            let path = request.uri().path();
            let body = match &path[..2] {
                "/w" => Body::from("hello"),
                "/s" => Body::from_sized_reader(&b"hello"[..], 5),
                _ => Body::empty(),
            };
            let mut response = Response::new(body);
            let claim = header::HeaderValue::from_str(&path[path.len() - 1..]).unwrap();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, claim.clone());
            if path.starts_with("/ww") {
                headers.append(header::CONTENT_LENGTH, claim);
            }
            response
        });
        let mut client = site.connect();
        for path in [
            "/w5", "/w3", "/w7", "/wx", "/ww5", "/s5", "/s3", "/s7", "/e7",
        ] {
            let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            let whole = if path == "/e7" { "" } else { "hello" };
            assert_eq!(answer.text(), whole, "{path}");
        }
        // Here it is what a GET would give.
        client.send("HEAD /e7 HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.receive_head().header("content-length"), Some("7"));
        assert_eq!(site.serving.stats().accepted, 1);
    });
}

#[test]
fn an_upgrade_with_another_status_is_the_handlers_failure() {
    must_end(|| {
        let site = Site::start(bind(), |_| {
            Response::new(Body::upgrade(|_| panic!("there is no upgrade")))
        });
        let mut client = site.connect();
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        for _ in 0..2 {
            assert_eq!(client.ask(request).status, 500);
        }
        // None of the handlers waits for the end of the connection.
        until(|| site.handle.metrics().tasks <= 4);
        assert_eq!(site.serving.stats().active, 1);
    });
}

#[test]
fn an_upgraded_connection_is_the_handlers() {
    must_end(|| {
        let site = Site::start(bind(), |_| {
            let echo = Body::upgrade(|mut connection| {
                let mut buffer = [0; 100];
                while let Ok(length @ 1..) = connection.read(&mut buffer) {
                    connection
                        .write_all(&buffer[..length].to_ascii_uppercase())
                        .unwrap();
                }
            });
            let mut response = Response::new(echo);
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
            headers.insert(header::UPGRADE, "shout".parse().unwrap());
            response
        });
        let mut client = site.connect();
        // What comes right behind the head belongs to the new protocol.
        client.send(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\nearly ",
        );
        assert_eq!(client.receive_head().status, 101);
        assert_eq!(client.receive_exactly(6), "EARLY ");
        client.send("late");
        assert_eq!(client.receive_exactly(4), "LATE");
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.has_ended());
        site.stop();
    });
}

/// More than the sockets hold.
const LONG: usize = 10 << 20;

/// With the second, a client offers another protocol.
const OFFERS: [&str; 2] = ["", "connection: upgrade\r\nupgrade: h2c\r\n"];

#[test]
fn an_answer_is_whole_though_the_body_of_its_request_never_comes() {
    must_end(|| {
        let site = Site::start(bind(), |_| vec![b'x'; LONG]);
        for offer in OFFERS {
            let mut client = site.connect();
            client.send(&format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{offer}content-length: 1000000\r\n\r\n"
            ));
            client.receive_head();
            // It is slow: whatever the server does when the sockets are full, it has done.
            std::thread::sleep(ms(50));
            assert_eq!(client.receive_exactly(LONG).len(), LONG, "{offer}");
        }
    });
}

#[test]
fn an_answer_is_whole_though_the_server_stops() {
    must_end(|| {
        for offer in OFFERS {
            let site = Site::start(bind(), |_| vec![b'x'; LONG]);
            let mut client = site.connect();
            client.send(&format!(
                "GET / HTTP/1.1\r\nhost: a\r\n{offer}connection: close\r\n\r\n"
            ));
            client.receive_head();
            std::thread::sleep(ms(50));
            let serving = site.serving.clone();
            let stopping = std::thread::spawn(move || serving.stop_within(AGES));
            std::thread::sleep(ms(50));
            assert_eq!(client.receive_exactly(LONG).len(), LONG, "{offer}");
            assert!(client.has_ended());
            assert_eq!(stopping.join().unwrap(), 0);
        }
    });
}

#[test]
fn an_answer_is_whole_though_more_was_asked_than_is_answered() {
    must_end(|| {
        let site = Site::start(bind(), |_| vec![b'x'; LONG]);
        let mut client = site.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let mut stream = client.stream.try_clone().unwrap();
        let more = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10_000);
        std::thread::spawn(move || stream.write_all(more.as_bytes()));
        client.receive_head();
        std::thread::sleep(ms(50));
        assert_eq!(client.receive_exactly(LONG).len(), LONG);
    });
}

// ---- clients that leave, or only say half

#[test]
fn a_client_that_leaves_cancels_its_handler() {
    must_end(|| {
        let begun = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let (begins, ends) = (begun.clone(), ended.clone());
        let site = Site::start(bind(), move |request: Request| {
            let ends = Ends(ends.clone());
            begins.fetch_add(1, SeqCst);
            match request.uri().path() {
                "/sleeps" => {
                    thread::sleep(HOUR);
                    Response::new(Body::empty())
                }
                "/reads" => request.into_body().bytes().respond(),
                // The client takes nothing: it waits to write.
                _ => Response::new(Body::from_writer(move |writer| {
                    let _ends = ends;
                    loop {
                        writer.write_all(&[0; 10_000])?;
                    }
                })),
            }
        });
        for (number, path) in ["/sleeps", "/reads", "/writes"].iter().enumerate() {
            let mut client = site.connect();
            client.send(&format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n"
            ));
            if *path == "/sleeps" {
                client.send("12345");
            }
            until(|| begun.load(SeqCst) == number + 1);
            assert_eq!(ended.load(SeqCst), number);
            drop(client);
            until(|| ended.load(SeqCst) == number + 1);
        }
        until(|| site.serving.stats().active == 0);
    });
}

/// The rest of a body that the handler has not read, and another request right behind: nobody reads on.
#[test]
fn a_client_that_breaks_off_cancels_its_handler_whatever_is_unread() {
    let requests = [
        "POST /sleeps HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n".to_owned()
            + &"x".repeat(1000),
        "POST /sleeps HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n".to_owned()
            + &"x".repeat(900_000),
        "GET /sleeps HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2),
    ];
    must_end(|| {
        for workers in [1, 2] {
            let begun = Arc::new(AtomicUsize::new(0));
            let ended = Arc::new(AtomicUsize::new(0));
            let (begins, ends) = (begun.clone(), ended.clone());
            let site = Site::on(workers, bind(), move |request: Request| {
                let _request = request;
                let _ends = Ends(ends.clone());
                begins.fetch_add(1, SeqCst);
                thread::sleep(HOUR);
                "slept"
            });
            for (number, request) in requests.iter().enumerate() {
                let client = site.connect();
                client.stream.set_nonblocking(true).unwrap();
                let mut rest = request.as_bytes();
                // As much as is taken. Nobody may read more.
                until(|| {
                    begun.load(SeqCst) == number + 1 || {
                        while let Ok(count @ 1..) = (&client.stream).write(rest) {
                            rest = &rest[count..];
                        }
                        false
                    }
                });
                std::thread::sleep(ms(20));
                assert_eq!(ended.load(SeqCst), number);
                socket2::SockRef::from(&client.stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                drop(client);
                until(|| ended.load(SeqCst) == number + 1);
            }
            until(|| site.serving.stats().active == 0);
        }
    });
}

#[test]
fn a_client_that_says_half_is_served_if_that_is_allowed() {
    must_end(|| {
        let slow = |_| {
            thread::sleep(ms(20));
            "hello"
        };
        let half = |site: &Site| {
            let mut client = site.connect();
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            client.stream.shutdown(Shutdown::Write).unwrap();
            client.try_receive().map(|answer| answer.text())
        };
        let strict = Site::start(bind(), slow);
        assert_eq!(half(&strict), None);
        let lenient = Site::start(bind().half_close(true), slow);
        assert_eq!(half(&lenient).as_deref(), Some("hello"));
    });
}

// ---- deadlines and limits

#[test]
fn slow_clients_do_not_keep_a_fast_one_waiting() {
    must_end(|| {
        raise_descriptor_limit();
        let site = Site::start(bind(), |_| "hello");
        let slow: Vec<_> = (0..scaled(1000))
            .map(|number| {
                let mut client = site.connect();
                let head = "GET / HTTP/1.1\r\nhost: slow\r\nx-header: ";
                client.send(&head[..1 + number % (head.len() - 1)]);
                client
            })
            .collect();
        until(|| site.serving.stats().accepted as usize >= slow.len());
        let mut fast = site.connect();
        for _ in 0..100 {
            assert_eq!(
                fast.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
                "hello"
            );
        }
        assert_eq!(site.serving.stats().active as usize, slow.len() + 1);
    });
}

#[test]
fn a_head_that_takes_too_long_ends_the_connection() {
    must_end(|| {
        let server = bind().header_timeout(ms(100)).idle_timeout(AGES);
        let site = Site::start(server, |_| "hello");
        // It trickles: each byte comes in time, the whole does not.
        let mut client = site.connect();
        client.send("GET / HTTP/1.1\r\n");
        let start = Instant::now();
        while client.try_send("x").is_ok() && start.elapsed() < AGES {
            std::thread::sleep(ms(5));
            if client.has_input() {
                break;
            }
        }
        let answer = client.receive();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (408, Some("close"))
        );
        assert!(start.elapsed() >= ms(100));
        // Who says nothing is told nothing.
        let mut silent = site.connect();
        assert!(silent.has_ended());
        // The second request's time begins with its first byte.
        let mut client = site.connect();
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
            "hello"
        );
        std::thread::sleep(ms(150));
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
            "hello"
        );
        client.send("GET");
        assert_eq!(client.receive().status, 408);
        until(|| site.serving.stats().active == 0);
    });
}

#[test]
fn a_connection_that_is_idle_too_long_is_closed() {
    must_end(|| {
        let site = Site::start(bind().idle_timeout(ms(50)), |_| "hello");
        let mut client = site.connect();
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
            "hello"
        );
        assert!(client.has_ended());
        until(|| site.serving.stats().active == 0);
        assert_eq!(site.serving.stats().failed, 0);
    });
}

#[test]
fn a_body_that_does_not_come_fails_its_reader() {
    must_end(|| {
        let site = Site::start(bind().body_timeout(ms(50)), |request: Request| {
            request.into_body().text()
        });
        let mut client = site.connect();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel");
        assert_eq!(client.receive().status, 408);
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    must_end(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let site = Site::start(bind().write_timeout(ms(50)), move |_| {
            let ends = Ends(count.clone());
            Response::new(Body::from_writer(move |writer| {
                let _ends = ends;
                loop {
                    writer.write_all(&[0; 10_000])?;
                }
            }))
        });
        let mut client = site.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        until(|| ended.load(SeqCst) == 1);
        until(|| site.serving.stats().active == 0);
        assert_eq!(site.serving.stats().failed, 1);
    });
}

#[test]
fn heads_that_are_too_large_are_refused() {
    must_end(|| {
        let site = Site::start(bind().max_head(10_000).max_headers(20), |_| "hello");
        let ask = |headers: String| {
            let mut client = site.connect();
            let _ = client.try_send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n"));
            client.receive().status
        };
        assert_eq!(ask(format!("x: {}\r\n", "x".repeat(9_000))), 200);
        assert_eq!(ask(format!("x: {}\r\n", "x".repeat(11_000))), 431);
        assert_eq!(ask("x: 1\r\n".repeat(19)), 200);
        assert_eq!(ask("x: 1\r\n".repeat(20)), 431);
        // It is refused before it is whole, too.
        let mut client = site.connect();
        let _ = client.try_send(&format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(100_000)));
        assert_eq!(client.receive().status, 431);
    });
}

#[test]
fn connections_are_bounded() {
    must_end(|| {
        let site = Site::start(bind().max_connections(2), |_| "hello");
        let mut inside = [site.connect(), site.connect()];
        for client in &mut inside {
            assert_eq!(
                client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(),
                "hello"
            );
        }
        let mut outside = site.connect();
        outside.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        std::thread::sleep(ms(20));
        assert!(!outside.has_input());
        drop(inside);
        assert_eq!(outside.receive().text(), "hello");
        assert_eq!(site.serving.stats().accepted, 3);
    });
}

// ---- the end of the server

#[test]
fn a_graceful_stop_answers_what_is_in_progress() {
    must_end(|| {
        let go_on = Arc::new(Semaphore::new(0));
        let begun = Arc::new(AtomicUsize::new(0));
        let (permit, begins) = (go_on.clone(), begun.clone());
        let site = Site::start(bind(), move |request: Request| {
            if request.uri().path() == "/slow" {
                begins.fetch_add(1, SeqCst);
                permit.acquire().forget();
            }
            "done"
        });
        let mut idle = site.connect();
        assert_eq!(idle.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text(), "done");
        let mut fresh = site.connect();
        let mut busy = site.connect();
        busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
        until(|| begun.load(SeqCst) == 1);
        until(|| site.serving.stats().accepted == 3);

        let serving = site.serving.clone();
        let stopping = std::thread::spawn(move || serving.stop_within(AGES));
        // Who has no request in progress is let go at once.
        assert!(idle.has_ended());
        assert!(fresh.has_ended());
        go_on.release(1);
        let answer = busy.receive();
        assert_eq!(answer.text(), "done");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(busy.has_ended());
        assert_eq!(stopping.join().unwrap(), 0);
        assert!(TcpStream::connect(site.serving.local_addr()).is_err());
    });
}

#[test]
fn a_stop_whose_grace_is_over_cancels() {
    must_end(|| {
        let begun = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let (begins, ends) = (begun.clone(), ended.clone());
        let site = Site::start(bind(), move |_| {
            let _ends = Ends(ends.clone());
            begins.fetch_add(1, SeqCst);
            thread::sleep(HOUR);
        });
        let mut client = site.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        until(|| begun.load(SeqCst) == 1);
        assert_eq!(site.serving.stop_within(ms(10)), 1);
        // The handler has ended, too, and not only its connection.
        assert_eq!(ended.load(SeqCst), 1);
        assert!(client.has_ended());
    });
}

// ---- what it is sent by those who mean no good

#[test]
fn malformed_requests_are_refused_and_harm_nobody() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| request.into_body().bytes());
        assert!(malformed::TABLE.len() >= 40);
        let mut wrong = Vec::new();
        for (name, request, expected) in malformed::TABLE {
            let mut client = site.connect();
            let _ = client.stream.write_all(request);
            let _ = client.stream.shutdown(Shutdown::Write);
            let status = client.try_receive().map(|answer: Answer| answer.status);
            if status != *expected {
                wrong.push(format!("{name}: {status:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        let mut client = site.connect();
        let answer = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(answer.text(), "hello");
        assert_eq!(site.serving.stats().panicked, 0);
        drop(client);
        until(|| site.serving.stats().active == 0);
    });
}

#[test]
fn mutated_requests_harm_nobody() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| request.into_body().bytes());
        let mut numbers = Numbers::new(20_261_126);
        for case in 0..scaled(2000) {
            let request = malformed::mutated(&mut numbers);
            let mut client = site.connect();
            let _ = client.stream.write_all(&request);
            let _ = client.stream.shutdown(Shutdown::Write);
            // Whatever comes back: a known status, and then the end.
            while let Some(answer) = client.try_receive() {
                let known = [100, 200, 400, 408, 413, 414, 417, 431, 501, 505];
                assert!(
                    known.contains(&answer.status),
                    "case {case}: {} for {:?}",
                    answer.status,
                    String::from_utf8_lossy(&request)
                );
            }
            assert!(client.has_ended(), "case {case}");
        }
        assert_eq!(site.serving.stats().panicked, 0);
        until(|| site.serving.stats().active == 0);
    });
}

// ---- leaks

#[test]
fn nothing_is_left_after_requests_that_end_in_all_ways() {
    if !is_child() {
        let output = in_child("nothing_is_left_after_requests_that_end_in_all_ways", &[]);
        return assert_success(&output);
    }
    must_end(|| {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        // What is opened once and kept.
        drop(Site::start(bind(), |_| "hello"));
        let before = open();
        let site = Site::start(bind(), |request: Request| match request.uri().path() {
            "/sleeps" => {
                thread::sleep(HOUR);
                "".respond()
            }
            "/streams" => Response::new(Body::from_reader(std::io::repeat(b'x').take(100_000))),
            _ => "hello".respond(),
        });
        let mut numbers = Numbers::new(7);
        let mut kept = site.connect();
        for _ in 0..scaled(10_000) {
            match numbers.below(10) {
                0 => {
                    let mut client = site.connect();
                    let path = ["/sleeps", "/streams"][numbers.below(2) as usize];
                    client.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
                    // It leaves at some moment or other.
                    for _ in 0..numbers.below(20) {
                        std::thread::yield_now();
                    }
                }
                1 => {
                    let mut client = site.connect();
                    client.send("GET /streams HTTP/1.1\r\nhost: a\r\n\r\n");
                    assert_eq!(client.receive().body.len(), 100_000);
                }
                _ => {
                    let answer = kept.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
                    assert_eq!(answer.text(), "hello");
                }
            }
        }
        drop(kept);
        until(|| site.serving.stats().active == 0);
        let metrics = site.handle.metrics();
        site.stop();
        // The threads of the server itself, and of the test's site.
        assert!(metrics.tasks <= 4, "{metrics:?}");
        assert_eq!(open(), before);
    });
}

// ---- real clients

#[test]
fn curl_is_served() {
    must_end(|| {
        let site = Site::start(bind(), |request: Request| match request.uri().path() {
            "/stream" => Response::new(Body::from_reader(std::io::repeat(b'x').take(1_000_000))),
            _ => request.into_body().bytes().respond(),
        });
        let url = format!("http://{}", site.serving.local_addr());
        let Some(twice) = curl(&["-d", "hello", &url, &url]) else {
            return;
        };
        assert_eq!(twice, b"hellohello");
        assert_eq!(site.serving.stats().accepted, 1, "both over one connection");
        assert_eq!(curl(&["-I", &url]).unwrap()[..15], *b"HTTP/1.1 200 OK");
        assert_eq!(curl(&[&format!("{url}/stream")]).unwrap().len(), 1_000_000);
        // With a body of that length curl expects to be told to go on; this one comes in chunks.
        let file = std::env::temp_dir().join(format!("sylvan-curl-{}", std::process::id()));
        fs::write(&file, vec![b'y'; 1_500_000]).unwrap();
        let upload = format!("@{}", file.display());
        let echoed = curl(&["--data-binary", &upload, &url]).unwrap();
        assert_eq!(echoed.len(), 1_500_000);
        let chunked = [
            "-H",
            "transfer-encoding: chunked",
            "--data-binary",
            &upload,
            &url,
        ];
        assert_eq!(curl(&chunked).unwrap().len(), 1_500_000);
        assert_eq!(curl(&["--http1.0", "-d", "old", &url]).unwrap(), b"old");
        fs::remove_file(file).unwrap();
    });
}

#[test]
fn wrk_is_served() {
    raise_descriptor_limit();
    must_end(|| {
        let served = Arc::new(AtomicUsize::new(0));
        let counts = served.clone();
        let site = Site::on(2, bind(), move |_: Request| {
            counts.fetch_add(1, SeqCst);
            "Hello, world!"
        });
        let url = format!("http://{}/", site.serving.local_addr());
        let Some(printed) = wrk(&["-t1", "-c100", "-d1s", &url]) else {
            return;
        };
        // It says so only if there is something of the kind.
        for fault in ["Socket errors", "Non-2xx"] {
            assert!(!printed.contains(fault), "{printed}");
        }
        let words: Vec<_> = printed.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "requests").unwrap();
        let requests: usize = words[at - 1].parse().unwrap();
        // Not those that were under way at the end.
        let served = served.load(SeqCst);
        assert!(
            requests > 0 && (requests..=requests + 1000).contains(&served),
            "{served}, {printed}"
        );
        // It tries first whether anybody is there.
        let accepted = site.serving.stats().accepted;
        assert!((100..=101).contains(&accepted), "kept alive: {accepted}");
        until(|| site.serving.stats().active == 0);
    });
}

#[test]
fn our_own_client_is_served() {
    must_end(|| {
        sylvan::run(|| {
            let serving = bind()
                .start(|request: Request| request.into_body().text())
                .unwrap();
            let url = format!("http://{}/", serving.local_addr());
            let agent = sylvan::http::agent();
            thread::scope(|scope| {
                for number in 0..20 {
                    let (agent, url) = (agent.clone(), &url);
                    scope.spawn(move || {
                        let text = format!("number {number}");
                        let mut response = agent.post(url).send(&text).unwrap();
                        assert_eq!(response.body_mut().read_to_string().unwrap(), text);
                    });
                }
            });
            drop(agent);
            serving.stop();
        });
    });
}

// ---- the runtime around

#[test]
fn several_hubs_serve() {
    must_end(|| {
        let site = Site::on(2, bind(), |request: Request| {
            thread::yield_now();
            request.into_body().bytes()
        });
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let address = site.serving.local_addr();
                std::thread::spawn(move || {
                    for number in 0..scaled(200) {
                        let mut kept = Client::connect(address);
                        for _ in 0..3 {
                            let body = format!("{client} {number}");
                            let answer = kept.ask(&format!(
                                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
                                body.len()
                            ));
                            assert_eq!(answer.text(), body);
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        until(|| site.serving.stats().active == 0);
        assert_eq!(site.serving.stats().accepted as usize, 8 * scaled(200));
        assert_eq!(site.serving.stats().failed, 0);
    });
}

#[test]
fn a_deadline_of_the_handlers_own_bounds_it() {
    must_end(|| {
        let site = Site::start(bind(), |_| {
            match time::timeout(ms(5), || thread::sleep(HOUR)) {
                Ok(()) => "slept".respond(),
                Err(_) => StatusCode::GATEWAY_TIMEOUT.respond(),
            }
        });
        let mut client = site.connect();
        assert_eq!(client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").status, 504);
    });
}

#[test]
fn a_server_is_made_of_a_listener() {
    must_end(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site::start(Server::from(listener), |_| "hello");
        assert_eq!(site.serving.local_addr(), address);
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut client = Client::connect(address);
            sender.send(client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").text())
        });
        assert_eq!(receiver.recv().unwrap(), "hello");
    });
}
