//! A small HTTP/1.1 server: one thread a connection, keep-alive. It serves the sites that the examples fetch.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;
use sylvan::net::{SocketAddr, TcpListener, TcpStream};
use sylvan::sync::Arc;
use sylvan::thread;

/// Answers requests; one value serves all connections at once.
pub trait Site: Send + Sync + 'static {
    /// The answer to a GET or HEAD of `path`, which is as the client sent it: percent-encoded, with its query.
    fn answer(&self, path: &str) -> Answer;

    /// The answer to any request. What is neither GET nor HEAD is not allowed, unless a site says otherwise.
    fn answer_to(&self, request: &Request) -> Answer {
        match request.method.as_str() {
            "GET" | "HEAD" => self.answer(&request.path),
            _ => Answer::html(405, ""),
        }
    }
}

/// What a client asks for.
pub struct Request {
    pub method: String,
    /// As the client sent it.
    pub path: String,
    /// The first byte of the part that it wants, if it wants but a part.
    #[allow(dead_code, reason = "only downloads are resumed")]
    pub from: Option<u64>,
    #[allow(dead_code, reason = "few sites take anything")]
    pub body: Vec<u8>,
    wants_body: bool,
    keeps_alive: bool,
}

/// A status, headers and a body. `Content-Length` and `Connection` are the server's business.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// What follows the head.
pub enum Body {
    /// All of it, in memory.
    Bytes(Vec<u8>),
    /// A file and its length.
    #[allow(dead_code, reason = "only the crawler serves folders")]
    File(File, u64),
    /// Whatever `write` writes, of whatever length it claims; the connection ends with it.
    #[allow(dead_code, reason = "only the crawler's site misbehaves")]
    Custom { length: Option<u64>, write: Writer },
}

/// Writes a body to the client.
pub type Writer = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()>>;

impl Answer {
    /// An answer without headers.
    pub fn new(status: u16, body: Body) -> Self {
        let headers = Vec::new();
        Self {
            status,
            headers,
            body,
        }
    }

    /// An HTML page.
    pub fn html(status: u16, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status, Body::Bytes(text.into())).with("Content-Type", "text/html; charset=utf-8")
    }

    /// The same with one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Serves `site` on a free port of the loopback interface, for as long as the process or its runtime lives.
pub fn start(site: impl Site) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let site = Arc::new(site);
    thread::Builder::new()
        .name("site".into())
        .spawn(move || accept(&listener, &site))?;
    Ok(address)
}

fn accept(listener: &TcpListener, site: &Arc<impl Site>) {
    let mut told = false;
    loop {
        let connection = listener.accept().and_then(|(stream, peer)| {
            let site = Arc::clone(site);
            let builder = thread::Builder::new().name(format!("site for {peer}"));
            builder.spawn(move || Connection::new(stream).serve(&*site))
        });
        // There may be no descriptor or no thread to be had just now: others will end.
        if let Err(error) = connection {
            if !told {
                // Without a stderr the caller's time-outs have to do.
                let _ = writeln!(io::stderr(), "the built-in site cannot accept: {error}");
                told = true;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// More than any sensible request head.
const LARGEST_HEAD: usize = 64 * 1024;
/// More than any example sends.
const LARGEST_BODY: usize = 1024 * 1024;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Self {
            stream,
            input,
            output,
        }
    }

    /// Answers requests until the client has no more; a client that goes away is nothing to report.
    fn serve(mut self, site: &impl Site) {
        let _ = self.stream.set_nodelay(true);
        while let Ok(Some(request)) = self.read_request() {
            let answer = site.answer_to(&request);
            if !matches!(self.write(answer, &request), Ok(true)) {
                break;
            }
        }
    }

    fn read_request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Request::new(&mut headers);
            match head.parse(&self.input) {
                Ok(httparse::Status::Complete(length)) => {
                    let request = understand(&head);
                    self.input.drain(..length);
                    return match request {
                        Some((request, length)) => self.read_body(request, length),
                        None => self.refuse(400),
                    };
                }
                Ok(httparse::Status::Partial) if self.input.len() < LARGEST_HEAD => {}
                Ok(httparse::Status::Partial) => return self.refuse(431),
                Err(_) => return self.refuse(400),
            }
            if !self.read_more()? {
                return Ok(None);
            }
        }
    }

    fn read_body(&mut self, mut request: Request, length: usize) -> io::Result<Option<Request>> {
        if length > LARGEST_BODY {
            return self.refuse(413);
        }
        while self.input.len() < length {
            if !self.read_more()? {
                return Ok(None);
            }
        }
        request.body = self.input.drain(..length).collect();
        Ok(Some(request))
    }

    fn read_more(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk)?;
        self.input.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    fn refuse(&mut self, status: u16) -> io::Result<Option<Request>> {
        let request = Request {
            method: String::new(),
            path: String::new(),
            from: None,
            body: Vec::new(),
            wants_body: true,
            keeps_alive: false,
        };
        self.write(Answer::html(status, ""), &request)?;
        Ok(None)
    }

    /// Writes the answer and tells whether the connection goes on.
    fn write(&mut self, answer: Answer, request: &Request) -> io::Result<bool> {
        let length = match &answer.body {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(_, length) => Some(*length),
            Body::Custom { length, .. } => *length,
        };
        let keeps_alive = request.keeps_alive && !matches!(answer.body, Body::Custom { .. });
        self.put_head(&answer, length, keeps_alive)?;
        match answer.body {
            _ if !request.wants_body => self.stream.write_all(&self.output)?,
            Body::Bytes(bytes) => {
                // One write, and so one packet for small pages.
                self.output.extend_from_slice(&bytes);
                self.stream.write_all(&self.output)?;
            }
            Body::File(file, length) => self.write_file(file, length)?,
            Body::Custom { write, .. } => {
                self.stream.write_all(&self.output)?;
                write(&mut self.stream)?;
            }
        }
        Ok(keeps_alive)
    }

    fn put_head(
        &mut self,
        answer: &Answer,
        length: Option<u64>,
        keeps_alive: bool,
    ) -> io::Result<()> {
        self.output.clear();
        write!(
            self.output,
            "HTTP/1.1 {} {}\r\n",
            answer.status,
            reason(answer.status)
        )?;
        for (name, value) in &answer.headers {
            write!(self.output, "{name}: {value}\r\n")?;
        }
        if let Some(length) = length {
            write!(self.output, "Content-Length: {length}\r\n")?;
        }
        if !keeps_alive {
            self.output.extend_from_slice(b"Connection: close\r\n");
        }
        self.output.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Sends the head together with the first part of the file, so that a small file is one write too.
    fn write_file(&mut self, mut file: File, length: u64) -> io::Result<()> {
        const CHUNK: u64 = 64 * 1024;
        let mut left = length;
        loop {
            let head = self.output.len();
            let chunk = left.min(CHUNK);
            self.output.resize(head + chunk as usize, 0);
            // If the file was cut after its length had been promised, the error closes the connection.
            file.read_exact(&mut self.output[head..])?;
            self.stream.write_all(&self.output)?;
            self.output.clear();
            left -= chunk;
            if left == 0 {
                return Ok(());
            }
        }
    }
}

/// The request, and how long its body is. Bodies in chunks are not understood.
fn understand(head: &httparse::Request) -> Option<(Request, usize)> {
    let header = |name: &str| {
        let mut headers = head.headers.iter();
        let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length = match header("content-length") {
        Some(length) => length.parse().ok()?,
        None if header("transfer-encoding").is_some() => return None,
        None => 0,
    };
    let method = head.method?;
    let connection = header("connection").map(str::to_ascii_lowercase);
    let request = Request {
        method: method.to_owned(),
        path: head.path?.to_owned(),
        from: header("range").and_then(beginning),
        body: Vec::new(),
        wants_body: method != "HEAD",
        keeps_alive: match connection.as_deref() {
            Some("close") => false,
            Some("keep-alive") => true,
            _ => head.version == Some(1),
        },
    };
    Some((request, length))
}

/// Of `bytes=100-`; other parts than all that follows a byte nobody here asks for.
fn beginning(range: &str) -> Option<u64> {
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        410 => "Gone",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unnamed",
    }
}
