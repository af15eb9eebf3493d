//! A server on an OS thread of its own, and clients that know nothing of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sylvan::http::Server;
use sylvan::http::server::{Request, Respond, Serving};
use sylvan::runtime::{Handle, Runtime};

use crate::support::AGES;

/// A server that runs until this is dropped.
pub struct Site {
    pub serving: Serving,
    pub handle: Handle,
    end: Option<sylvan::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub fn start<H, R>(server: Server, handler: H) -> Site
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: Respond,
    {
        Site::on(1, server, handler)
    }

    /// On so many hubs.
    pub fn on<H, R>(workers: usize, server: Server, handler: H) -> Site
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: Respond,
    {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let handle = runtime.handle();
            runtime.run(move || {
                let serving = server.start(handler).unwrap();
                let (end, ended) = sylvan::sync::mpsc::channel::<()>();
                sender.send((serving, handle, end)).unwrap();
                // Nothing is sent: the other end is dropped.
                let _ = ended.recv();
            });
        });
        let (serving, handle, end) = receiver.recv().unwrap();
        Site {
            serving,
            handle,
            end: Some(end),
            thread: Some(thread),
        }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.serving.local_addr())
    }

    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.serving.stop_within(Duration::ZERO);
            self.end = None;
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.end();
    }
}

/// A connection, and what came and was not looked at.
pub struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(its, _)| its.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(AGES)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            input: Vec::new(),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn try_send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    pub fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.receive()
    }

    #[track_caller]
    pub fn receive(&mut self) -> Answer {
        self.try_receive().expect("a whole answer")
    }

    /// The next answer; `None` if there is none, or no whole one.
    pub fn try_receive(&mut self) -> Option<Answer> {
        let mut answer = self.try_receive_head()?;
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.try_receive_chunk()?;
                if chunk.is_empty() {
                    return Some(answer);
                }
                answer.body.extend(chunk);
            }
        }
        let length = answer.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        answer.body = self.take(length)?;
        Some(answer)
    }

    #[track_caller]
    pub fn receive_head(&mut self) -> Answer {
        self.try_receive_head().expect("the head of an answer")
    }

    fn try_receive_head(&mut self) -> Option<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(Answer {
                    status,
                    headers,
                    body: Vec::new(),
                });
            }
            let (name, value) = line.split_once(": ")?;
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Of a body in chunks; empty at its end.
    #[track_caller]
    pub fn receive_chunk(&mut self) -> String {
        let chunk = self.try_receive_chunk().expect("a whole chunk");
        String::from_utf8(chunk).unwrap()
    }

    fn try_receive_chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line()?, 16).ok()?;
        let chunk = self.take(length)?;
        self.take(2)?;
        Some(chunk)
    }

    #[track_caller]
    pub fn receive_exactly(&mut self, length: usize) -> String {
        String::from_utf8(self.take(length).expect("so much")).unwrap()
    }

    /// Waits for the end of what the server sends. Has it sent nothing more?
    pub fn has_ended(&mut self) -> bool {
        self.input.is_empty() && !self.fill()
    }

    /// Has something come, or the end? Does not wait.
    pub fn has_input(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !self.input.is_empty() || !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2)?;
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.input.len() < length {
            if !self.fill() {
                return None;
            }
        }
        let rest = self.input.split_off(length);
        Some(std::mem::replace(&mut self.input, rest))
    }

    /// Reads more. A server that hangs fails the test.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.input.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server hangs"),
            // It was reset.
            Err(_) => false,
        }
    }
}

/// Waits for what another OS thread does.
pub fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < AGES, "it never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What curl prints; `None` if it is not installed.
pub fn curl(arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "--max-time", "120"]);
    printed(command.args(arguments))
}

/// What wrk prints; `None` if it is not installed.
pub fn wrk(arguments: &[&str]) -> Option<String> {
    let printed = printed(Command::new("wrk").args(arguments))?;
    Some(String::from_utf8(printed).unwrap())
}

fn printed(command: &mut Command) -> Option<Vec<u8>> {
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("{command:?} is not installed: skipped");
            None
        }
        output => {
            let output = output.unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {complaint}");
            Some(output.stdout)
        }
    }
}

/// Lets the process have as many descriptors as it may.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the calls get a valid place, and change this process's limit only.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}
