//! A session against servers that others have written. Where one is not installed its test says so and ends.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::must_end;
use sylvan::http::{Error, Session};
use sylvan::thread;

const LARGE: usize = 3_000_000;

#[test]
fn pythons_http_server() {
    let place = Place::new("python");
    let command = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .arg("--directory")
        .arg(&place.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut server) = command.map(Running) else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let mut line = String::new();
    let output = server.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    // "Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ..."
    let Some(port) = line.split("port ").nth(1) else {
        eprintln!("skipped: python3 has no http.server");
        return;
    };
    let port = port.split(' ').next().unwrap().to_owned();
    must_end(|| {
        sylvan::run(|| {
            let session = session(&format!("http://127.0.0.1:{port}/"));
            files(&session);
            // HTTP/1.0: each response ends with its connection.
            assert_eq!(session.stats().reused, 0);
            let listing = session.get("folder").send().unwrap();
            assert_eq!(listing.history().len(), 1, "to folder/");
            assert!(listing.text().unwrap().contains("inner.txt"));
            let refused = session.post("small.txt").body("x").send().unwrap();
            assert_eq!(refused.status(), 501);
        });
    });
}

#[test]
fn nginx() {
    let place = Place::new("nginx");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let root = place.0.display();
    let settings = format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr;\n\
         events {{ }}\n\
         http {{ access_log off; types {{ text/plain txt; application/octet-stream bin; }} gzip on; gzip_types text/plain; gzip_min_length 1;\n\
           client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
           uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
           server {{ listen 127.0.0.1:{port}; root {root};\n\
             location /moved {{ return 301 /small.txt; }}\n\
             location /limited {{ client_max_body_size 10; proxy_pass http://127.0.0.1:1; }} }} }}\n"
    );
    let file = place.0.join("nginx.conf");
    fs::write(&file, settings).unwrap();
    let command = Command::new("nginx")
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(&place.0)
        .spawn();
    let Ok(_server) = command.map(Running) else {
        eprintln!("skipped: there is no nginx");
        return;
    };
    must_end(|| {
        sylvan::run(|| {
            let session = session(&format!("http://127.0.0.1:{port}/"));
            // It says nowhere that it is ready.
            while matches!(session.get("small.txt").send(), Err(Error::Connect(_))) {
                thread::sleep(Duration::from_millis(5));
            }
            files(&session);
            let stats = session.stats();
            assert!(stats.reused > 0 && stats.opened < 30, "{stats:?}");
            let moved = session.get("moved").send().unwrap();
            assert_eq!(moved.url().path(), "/small.txt");
            assert_eq!(moved.text().unwrap(), "small");
            let part = session.get("large.bin").header("range", "bytes=10-19");
            let part = part.send().unwrap();
            assert_eq!(part.status(), 206);
            assert_eq!(part.bytes().unwrap(), large()[10..20]);
            let zipped = session.get("text.txt").send().unwrap();
            assert_eq!(zipped.text().unwrap(), "again and again ".repeat(1000));
            let received = session.stats().received;
            let plain = session
                .get("text.txt")
                .header("accept-encoding", "identity");
            assert_eq!(plain.send().unwrap().text().unwrap().len(), 16_000);
            assert_eq!(session.stats().received - received, 16_000);
            let body = vec![b'x'; 1000];
            let refused = session.put("limited").expect_continue().body(body);
            assert_eq!(refused.send().unwrap().status(), 413);
        });
    });
}

/// What every server can do.
fn files(session: &Session) {
    let get = |path: &str| session.get(path).send().unwrap();
    assert_eq!(get("small.txt").text().unwrap(), "small");
    assert_eq!(get("empty.txt").bytes().unwrap(), b"");
    assert!(get("large.bin").bytes().unwrap() == large());
    let head = session.head("large.bin").send().unwrap();
    assert_eq!(head.content_length(), Some(LARGE as u64));
    assert_eq!(head.bytes().unwrap(), b"");
    let missing = get("missing").raise_for_status().unwrap_err();
    assert_eq!(missing.status().unwrap(), 404);
    let mut begun = get("large.bin");
    begun.read_exact(&mut [0; 1000]).unwrap();
    drop(begun);
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let path = ["small.txt", "large.bin"][n % 2];
            let request = session.get(path);
            thread::spawn(move || request.send().unwrap().bytes().unwrap().len())
        })
        .collect();
    let lengths: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(lengths, 10 * (5 + LARGE));
    assert_eq!(session.stats().in_use, 0);
}

fn session(base: &str) -> Session {
    let builder = Session::builder().base_url(base);
    builder.build().unwrap()
}

fn large() -> Vec<u8> {
    (0..LARGE as u32).map(|n| (n / 7) as u8).collect()
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with files to serve.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("sylvan-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("folder")).unwrap();
        let write =
            |name: &str, content: &[u8]| fs::write(Path::join(&path, name), content).unwrap();
        write("small.txt", b"small");
        write("empty.txt", b"");
        write("large.bin", &large());
        write("text.txt", "again and again ".repeat(1000).as_bytes());
        write("folder/inner.txt", b"inner");
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
