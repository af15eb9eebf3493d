//! The words of many files, counted by several processes: map, in each of them, and reduce, here. It then does the same
//! in one process, to compare.
//!
//! ```text
//! cargo run --release --example mapreduce --features process-pool -- "$(rustc --print sysroot)/share/doc/rust/html"
//! ```

#![forbid(unsafe_code)]

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use sylvan::process_pool::{self, Pool};

/// Counts the words of all text files below a folder.
#[derive(Parser)]
#[command(name = "mapreduce", version)]
struct Options {
    /// The folder; without one, the sources of this program's library
    folder: Option<PathBuf>,

    /// How many processes; without this, one for each CPU
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    processes: Option<u16>,

    /// How many of the commonest words are printed
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,

    /// Do not do it in one process as well
    #[arg(long)]
    no_comparison: bool,
}

/// What names of text files end with; all others are left out.
const TEXT: [&str; 6] = ["html", "md", "rs", "toml", "txt", "json"];
/// How many files are a job: so that what comes back is small beside what was read.
const FILES: usize = 50;

type Counts = HashMap<String, u64>;

/// What a job gives: the words, and the files that could not be read.
type Counted = (Counts, Vec<String>);

fn main() -> ExitCode {
    process_pool::init();
    let options = Options::parse();
    match sylvan::run(|| count(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mapreduce: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
    };
    let files = sylvan::offload(move || text_files(&folder))?;
    let jobs: Vec<Vec<PathBuf>> = files.chunks(FILES).map(<[_]>::to_vec).collect();

    let mut pool = Pool::builder();
    if let Some(processes) = options.processes {
        pool = pool.processes(processes.into());
    }
    let pool = pool.build()?;
    let processes = pool.stats().processes.len();

    let bar = bar(files.len());
    let begun = Instant::now();
    let mut total = Counts::new();
    let mut unread = Vec::new();
    let results = pool
        .jobs()
        .chunk_size(1)
        .imap_unordered(count_words, jobs.clone());
    for result in results {
        let (counts, failures) = result?;
        bar.inc(FILES as u64);
        reduce(&mut total, counts);
        unread.extend(failures);
    }
    bar.finish_and_clear();
    let at_once = begun.elapsed().as_secs_f64();
    pool.join();

    for failure in &unread {
        writeln!(io::stderr(), "{failure}")?;
    }
    print(&total, options.top)?;
    let (words, kinds) = (total.values().sum::<u64>(), total.len());
    let mut out = io::stdout();
    writeln!(
        out,
        "{words} words, {kinds} different ones, in {} files",
        files.len()
    )?;
    writeln!(out, "{processes} processes: {at_once:.2} s")?;

    if !options.no_comparison {
        let begun = Instant::now();
        let mut again = Counts::new();
        for job in jobs {
            reduce(&mut again, count_words(job).0);
        }
        let alone = begun.elapsed().as_secs_f64();
        if again != total {
            return Err("the files have changed meanwhile: one process counts other words".into());
        }
        writeln!(
            out,
            "1 process: {alone:.2} s, {:.2} times as long",
            alone / at_once
        )?;
    }
    Ok(())
}

/// Map: runs in the pool's processes.
fn count_words(files: Vec<PathBuf>) -> Counted {
    let (mut counts, mut failures) = (Counts::new(), Vec::new());
    for file in files {
        match fs::read(&file) {
            Ok(bytes) => count_in(&String::from_utf8_lossy(&bytes), &mut counts),
            Err(error) => failures.push(format!("{}: {error}", file.display())),
        }
    }
    (counts, failures)
}

fn count_in(text: &str, counts: &mut Counts) {
    let words = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    for word in words {
        match counts.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(counts.insert(word.to_owned(), 1)),
        }
    }
}

/// Reduce: puts one job's counts to all.
fn reduce(total: &mut Counts, counts: Counts) {
    for (word, count) in counts {
        *total.entry(word).or_default() += count;
    }
}

fn print(counts: &Counts, top: usize) -> io::Result<()> {
    let mut words: Vec<_> = counts.iter().collect();
    words.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let mut out = io::stdout();
    words
        .iter()
        .take(top)
        .try_for_each(|(word, count)| writeln!(out, "{count:>10} {word}"))
}

fn bar(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} files, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// All text files below a folder, in the order of their names.
fn text_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_text(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| TEXT.contains(&extension))
}
