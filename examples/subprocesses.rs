//! Other programs: their output, many at once, pipes between them, a talk with one, and time-outs. The first column is
//! the time.
//!
//! Run it: `cargo run --example subprocesses`

#![forbid(unsafe_code)]

#[path = "support/clock.rs"]
mod clock;

use std::io;

use clap::Parser;
use clock::Clock;
use sylvan::io::{BufRead, BufReader, Write};
use sylvan::os::unix::process::ExitStatusExt;
use sylvan::process::{Command, ExitCode, Stdio};
use sylvan::task::Pool;
use sylvan::{thread, time};

/// Starts other programs and waits for them.
#[derive(Parser)]
#[command(name = "subprocesses", version)]
struct Options {
    /// How long a unit of time is
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    unit_ms: u32,
}

fn main() -> ExitCode {
    let clock = Clock::start(Options::parse().unit_ms);
    match sylvan::run(|| tour(clock)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("subprocesses: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour(clock: Clock) -> io::Result<()> {
    println!("the output of a program, and how it ended");
    output(clock.again())?;
    println!("many at once take as long as one");
    many(clock.again())?;
    println!("forty of them, ten at a time");
    ten_at_a_time(clock.again())?;
    println!("a pipe from one to the next");
    pipeline(clock.again())?;
    println!("a talk with a program; others run meanwhile");
    talk(clock.again())?;
    println!("for so long and no longer");
    limited(clock.again())?;
    println!("a program that does not exist");
    missing(clock.again());
    Ok(())
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn output(clock: Clock) -> io::Result<()> {
    let output = sh("echo to standard output; echo to standard error >&2; exit 3").output()?;
    clock.say(String::from_utf8_lossy(&output.stdout).trim_end());
    clock.say(String::from_utf8_lossy(&output.stderr).trim_end());
    clock.say(output.status);
    Ok(())
}

/// Starts a program that sleeps for a unit of time, and waits for it.
fn sleeper(clock: Clock) -> io::Result<bool> {
    let seconds = clock.units(1.0).as_secs_f64().to_string();
    Ok(Command::new("sleep").arg(seconds).status()?.success())
}

fn many(clock: Clock) -> io::Result<()> {
    let sleepers: Vec<_> = (0..20)
        .map(|_| thread::spawn(move || sleeper(clock)))
        .collect();
    let mut succeeded = 0;
    for sleeper in sleepers {
        succeeded += usize::from(sleeper.join().expect("it does not panic")?);
    }
    clock.say(format!("{succeeded} of them have succeeded"));
    Ok(())
}

fn ten_at_a_time(clock: Clock) -> io::Result<()> {
    let results = Pool::new(10).map(0..40, |_| sleeper(clock));
    let succeeded: Vec<bool> = results.into_iter().collect::<io::Result<_>>()?;
    clock.say(format!("{} of them have succeeded", succeeded.len()));
    Ok(())
}

fn pipeline(clock: Clock) -> io::Result<()> {
    let mut words = sh("printf 'pear\\napple\\npear\\n'")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut sorted = Command::new("sort");
    if let Some(words) = words.stdout.take() {
        sorted.stdin(words);
    }
    let mut sorted = sorted.stdout(Stdio::piped()).spawn()?;
    let mut unique = Command::new("uniq");
    if let Some(sorted) = sorted.stdout.take() {
        unique.stdin(sorted);
    }
    let output = unique.output()?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        clock.say(line);
    }
    words.wait()?;
    sorted.wait()?;
    Ok(())
}

fn talk(clock: Clock) -> io::Result<()> {
    let seconds = clock.units(1.0).as_secs_f64();
    let script = format!("while read -r line; do sleep {seconds}; echo \"$line, indeed\"; done");
    let mut echo = sh(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (echo.stdin.take(), echo.stdout.take()) else {
        unreachable!("both are pipes")
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            clock.sleep(0.5);
            clock.say("    another green thread");
        });
        let mut answers = BufReader::new(stdout).lines();
        for said in ["good morning", "fine weather"] {
            writeln!(stdin, "{said}")?;
            if let Some(answer) = answers.next() {
                clock.say(answer?);
            }
        }
        io::Result::Ok(())
    })?;
    drop(stdin); // the end of its input, and so of it
    clock.say(echo.wait()?);
    Ok(())
}

fn limited(clock: Clock) -> io::Result<()> {
    let mut sleep = Command::new("sleep").arg("1000").spawn()?;
    let ended = sleep.wait_timeout(clock.units(1.0))?;
    clock.say(format!("{ended:?}: it goes on"));
    sleep.kill()?;
    let signal = sleep.wait()?.signal();
    clock.say(format!("ended by signal {signal:?}"));

    // Around several steps. It ends the waiting, and not the program.
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let answer = time::timeout(clock.units(1.0), || {
        let mut line = String::new();
        let stdout = cat.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).map(|_| line)
    });
    clock.say(format!("{answer:?}: it was told nothing"));
    clock.say(cat.wait()?); // which closes its input
    Ok(())
}

fn missing(clock: Clock) {
    let error = Command::new("/there/is/none").status();
    clock.say(format!("{:?}", error.map_err(|error| error.kind())));
}
