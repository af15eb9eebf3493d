//! A program that was started: on its core, with a time limit, and ended whatever happens.

use serde_json::{Map, Value};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use sylvan_benches::machine;

/// Nothing that is measured takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program that runs. It is killed when this is dropped, and by the kernel when the harness ends, by
/// ^C or however.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    name: String,
    /// It writes down what it has seen when it ends, which takes a moment.
    is_profiler: bool,
}

impl Running {
    /// Starts `command`, on one core only if one is given.
    pub fn start(mut command: Command, core: Option<usize>) -> Result<Running, String> {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.process_group(0);
        // SAFETY: between fork and exec, each of these makes a system call and touches no memory of others.
        unsafe {
            command.pre_exec(move || {
                machine::die_with_parent();
                // A shell has those that it starts in the background ignore it, and they hand that on.
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                core.map_or(Ok(()), machine::pin)
            });
        }
        let mut child = command
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let output = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running {
            child,
            lines,
            name,
            is_profiler: false,
        })
    }

    /// Starts `command` under a profiler.
    pub fn start_under(
        tool: &[&str],
        command: &Command,
        core: Option<usize>,
    ) -> Result<Running, String> {
        let (program, options) = tool.split_first().ok_or("no profiler is named")?;
        let mut whole = Command::new(program);
        whole.args(options);
        whole.arg(command.get_program()).args(command.get_args());
        let mut running = Running::start(whole, core)?;
        running.is_profiler = true;
        Ok(running)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints, which must be figures.
    pub fn figures(&self) -> Result<Map<String, Value>, String> {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.map_err(|_| format!("{}: printed nothing", self.name))?;
        match serde_json::from_str(&line) {
            Ok(Value::Object(figures)) => Ok(figures),
            _ => Err(format!("{}: printed {line:?}", self.name)),
        }
    }

    /// All that it prints until it ends by itself.
    pub fn text(mut self) -> Result<String, String> {
        let mut text = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            text += &line;
            text.push('\n');
        }
        // Its output is closed, or time is over.
        let _ = self.child.kill();
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if text.is_empty() {
            return Err(format!(
                "{}: printed nothing and ended with {status}",
                self.name
            ));
        }
        Ok(text)
    }

    /// Interrupts it, as ^C would, and waits for its end.
    pub fn interrupt(mut self) {
        self.signal(libc::SIGINT);
        // If it takes longer than that it is killed.
        self.has_ended_within(Duration::from_secs(10));
    }

    /// To it and whatever it has started: a profiler may ignore what its program heeds.
    fn signal(&self, number: i32) {
        // SAFETY: the call takes no pointers, and the child leads a group of its own and has not been waited for.
        unsafe { libc::kill(-(self.child.id() as i32), number) };
    }

    fn has_ended_within(&mut self, span: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < span {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What ran under it may have ended by itself. A server does not.
        if self.is_profiler && !self.has_ended_within(Duration::from_secs(3)) {
            self.signal(libc::SIGINT);
            self.has_ended_within(Duration::from_secs(30));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
