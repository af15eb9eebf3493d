//! After ten thousand requests, a tenth of which end in the midst, a session has nothing and the process has no
//! more descriptors and green threads than before. A program of its own: others would open descriptors, too.

mod support;
#[path = "support/http.rs"]
mod web;

use std::fs;
use std::io;
use std::time::Duration;

use support::{Numbers, must_end, scaled};
use sylvan::http::Session;
use sylvan::runtime::Runtime;
use sylvan::{task, thread};
use web::{Request, Server, Stream, ok, reply};

#[test]
fn nothing_is_left_of_requests_that_end_in_the_midst() {
    let server = Server::start(answer);
    for workers in [1, 2] {
        let before = descriptors();
        must_end(|| {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| requests(&server, scaled(5_000)));
        });
        server.wait_for_open(0);
        assert_eq!(descriptors(), before, "with {workers} workers");
    }
}

fn requests(server: &Server, count: usize) {
    const AT_ONCE: usize = 100;
    let session = Session::builder().connections(40).build().unwrap();
    let mut numbers = Numbers::new(5);
    let mut ends = [0; 3];
    for _ in 0..count.div_ceil(AT_ONCE) {
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let path =
                    ["/", "/redirect", "/late", "/half", "/large"][numbers.below(5) as usize];
                let mut request = session.get(server.url(path));
                if numbers.below(20) == 0 {
                    request = request.timeout(Duration::from_micros(numbers.below(3_000)));
                }
                let is_dropped = numbers.below(20) == 0;
                thread::spawn(move || match request.send() {
                    Ok(response) if is_dropped => drop(response),
                    Ok(response) => drop(response.bytes()),
                    Err(_) => {}
                })
            })
            .collect();
        for task in &tasks {
            if numbers.below(20) == 0 {
                thread::sleep(Duration::from_micros(numbers.below(1_000)));
                task.cancel();
            }
        }
        for task in tasks {
            let _ = task.join();
        }
        let stats = session.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
        assert!(stats.kept <= 40, "{stats:?}");
        ends = [stats.done, stats.failed, stats.abandoned];
        assert_eq!(stats.requests, ends.iter().sum::<u64>(), "{stats:?}");
    }
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
    // Only this one: another hub may be about to strike off one that was joined.
    while task::all().len() > 1 {
        thread::yield_now();
    }
}

fn answer(request: &Request, stream: &mut dyn Stream) -> io::Result<bool> {
    let pause = || std::thread::sleep(Duration::from_micros(300));
    match request.target.as_str() {
        "/redirect" => reply(stream, "302 Found", &[("Location", "/late")], "there"),
        "/late" => {
            pause();
            ok(stream, "late")
        }
        "/half" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal")?;
            pause();
            stream.write_all(b"ves")?;
            Ok(true)
        }
        "/large" => ok(stream, vec![b'x'; 100_000]),
        _ => ok(stream, "now"),
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
