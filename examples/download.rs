//! Downloads several large files at once, with a progress bar each. What was begun before is resumed: the rest is asked
//! for by `Range`.
//!
//! ```text
//! cargo run --release --example download --features http -- --into /tmp/files https://… https://…
//! ```

#![forbid(unsafe_code)]

#[path = "support/server.rs"]
mod server;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use server::{Answer, Body, Request, Site};
use sylvan::http::{Deadlines, Error, Response, Session, Url};
use sylvan::offload;
use sylvan::task::Pool;

/// Downloads files, several at once. Without addresses it serves itself three.
#[derive(Parser)]
#[command(name = "download", version)]
struct Options {
    /// What to download
    urls: Vec<Url>,

    /// The folder to put the files in
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,

    /// How many at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    match sylvan::run(|| download_all(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "download: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Downloads all, tells of each, and whether all went well.
fn download_all(options: &Options) -> Result<bool, Failure> {
    fs::create_dir_all(&options.into)?;
    let urls = match options.urls.is_empty() {
        true => serve_three_files()?,
        false => options.urls.clone(),
    };
    // Large files take as long as they take, but not without a byte for a minute.
    let deadlines = Deadlines {
        read: Some(Duration::from_secs(60)),
        total: None,
        ..Deadlines::default()
    };
    let session = Session::builder().deadlines(deadlines).decompress(false);
    let session = session.build()?;
    let bars = MultiProgress::new();
    let into = options.into.clone();
    let at_once = Pool::new(options.at_once.into());
    let results = at_once.map(urls, move |url| {
        let download = Download::new(&session, url, &into, &bars);
        let name = download.name.clone();
        (name, download.run())
    });
    let mut output = io::stdout().lock();
    let mut all_went_well = true;
    for (name, result) in results {
        match result {
            Ok(Done { length, resumed: 0 }) => writeln!(output, "{name}: {}", HumanBytes(length))?,
            Ok(Done { length, resumed }) => {
                let (length, resumed) = (HumanBytes(length), HumanBytes(resumed));
                writeln!(output, "{name}: {length}, of which {resumed} were there")?;
            }
            Err(error) => {
                all_went_well = false;
                writeln!(output, "{name}: {error}")?;
            }
        }
    }
    Ok(all_went_well)
}

/// One file on its way. While it is not complete, its name ends in `.part`.
struct Download {
    session: Session,
    url: Url,
    name: String,
    complete: PathBuf,
    part: PathBuf,
    bar: ProgressBar,
}

/// A file that is complete.
struct Done {
    length: u64,
    /// So much of it had been there.
    resumed: u64,
}

const CHUNK: usize = 256 * 1024;

impl Download {
    fn new(session: &Session, url: Url, into: &Path, bars: &MultiProgress) -> Download {
        let last = url.path_segments().and_then(|mut path| path.next_back());
        let name = last
            .filter(|name| !name.is_empty())
            .unwrap_or("index")
            .to_owned();
        let style = "{prefix:>16.bold} {wide_bar} {bytes:>10} of {total_bytes:>10} {eta:>4}";
        let style = ProgressStyle::with_template(style);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bars.add(ProgressBar::no_length().with_style(style));
        Download {
            session: session.clone(),
            complete: into.join(&name),
            part: into.join(format!("{name}.part")),
            bar: bar.with_prefix(name.clone()),
            url,
            name,
        }
    }

    fn run(self) -> Result<Done, Failure> {
        let there = fs::metadata(&self.part).map_or(0, |part| part.len());
        let response = self.request(there)?;
        let resumed = match response.status().as_u16() {
            206 => there,
            // There is no more of it than we have.
            416 if there > 0 => return self.finish(there, there),
            // The server sends all of it, whatever it was asked for.
            _ => 0,
        };
        let response = response.raise_for_status()?;
        if let Some(length) = response.content_length() {
            self.bar.set_length(resumed + length);
        }
        self.bar.set_position(resumed);
        let length = resumed + self.save(response, resumed)?;
        self.finish(length, resumed)
    }

    fn request(&self, there: u64) -> Result<Response, Error> {
        let request = self.session.get(&self.url);
        match there {
            0 => request.send(),
            _ => request.header("range", format!("bytes={there}-")).send(),
        }
    }

    /// Appends the body to what is there; returns how much came.
    fn save(&self, mut response: Response, there: u64) -> Result<u64, Failure> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.part)?;
        file.set_len(there)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(there))?;
        let mut buffer = Vec::new();
        let mut length = 0;
        loop {
            (&mut response)
                .take(CHUNK as u64)
                .read_to_end(&mut buffer)?;
            if buffer.is_empty() {
                return Ok(length);
            }
            length += buffer.len() as u64;
            self.bar.inc(buffer.len() as u64);
            // A slow disk holds up an OS thread of its own, and nobody else.
            (file, buffer) = offload(move || write(file, buffer))?;
        }
    }

    fn finish(&self, length: u64, resumed: u64) -> Result<Done, Failure> {
        fs::rename(&self.part, &self.complete)?;
        self.bar.finish();
        Ok(Done { length, resumed })
    }
}

fn write(mut file: File, mut buffer: Vec<u8>) -> io::Result<(File, Vec<u8>)> {
    file.write_all(&buffer)?;
    buffer.clear();
    Ok((file, buffer))
}

fn serve_three_files() -> Result<Vec<Url>, Failure> {
    let address = server::start(Files)?;
    let urls = (1..=3).map(|n| Url::parse(&format!("http://{address}/file-{n}.txt")));
    Ok(urls.collect::<Result<_, _>>()?)
}

/// Files of so many lines of 32 bytes, each of which tells its own number.
struct Files;

const LINES: u64 = 100_000;
const LINE: u64 = 32;

impl Site for Files {
    fn answer(&self, path: &str) -> Answer {
        content(path, 0)
    }

    fn answer_to(&self, request: &Request) -> Answer {
        content(&request.path, request.from.unwrap_or(0))
    }
}

fn content(path: &str, from: u64) -> Answer {
    let number = path
        .strip_prefix("/file-")
        .and_then(|path| path.strip_suffix(".txt"));
    let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else {
        return Answer::html(404, "there is no such file");
    };
    let length = LINES * LINE;
    if from >= length {
        return Answer::new(416, Body::Bytes(Vec::new()));
    }
    let lines = (from / LINE..LINES).map(|line| format!("file {number:6}, line {line:13}\n"));
    let text: String = lines.collect();
    let bytes = text.into_bytes().split_off((from % LINE) as usize);
    let status = if from > 0 { 206 } else { 200 };
    let range = format!("bytes {from}-{}/{length}", length - 1);
    Answer::new(status, Body::Bytes(bytes)).with("Content-Range", range)
}
