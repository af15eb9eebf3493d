//! How a program with `cancel_on_ctrl_c` ends when it is interrupted. Each program is this one, started again.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use sylvan::runtime::Runtime;
use sylvan::task::Cancelled;
use sylvan::thread;

#[path = "support/interrupt.rs"]
mod interrupt;

const PROGRAM: &str = "SYLVAN_TEST_PROGRAM";

fn main() -> ExitCode {
    match std::env::var(PROGRAM).ok().as_deref() {
        None => test(),
        Some("run") => {
            let runtime = runtime();
            runtime.run(interrupted);
        }
        Some("try_run") => {
            let runtime = runtime();
            let outcome = runtime.try_run(interrupted);
            runtime.close();
            if outcome.is_err_and(|payload| payload.is::<Cancelled>()) {
                return ExitCode::from(42);
            }
        }
        Some("afterwards") => {
            let runtime = runtime();
            assert!(runtime.try_run(interrupted).is_err());
            runtime.close();
            interrupt();
        }
        Some(program) => panic!("there is no program {program}"),
    }
    ExitCode::SUCCESS
}

fn test() {
    for (program, code, signal) in [
        ("run", Some(101), None),
        ("try_run", Some(42), None),
        ("afterwards", None, Some(libc::SIGINT)),
    ] {
        let Output {
            status,
            stdout,
            stderr,
        } = interrupt::can_be_interrupted(&mut Command::new(std::env::current_exe().unwrap()))
            .env(PROGRAM, program)
            .output()
            .unwrap();
        let ended = (status.code(), status.signal());
        assert_eq!(ended, (code, signal), "{program}: {stderr:?}");
        assert_eq!(String::from_utf8_lossy(&stderr), "", "{program}");
        let destructors = "a destructor of main\na destructor of another\n";
        assert_eq!(String::from_utf8_lossy(&stdout), destructors, "{program}");
    }
}

fn runtime() -> Runtime {
    let builder = Runtime::builder().cancel_on_ctrl_c(true);
    builder.build().unwrap()
}

/// The main green thread of each program.
fn interrupted() {
    let _one = Says("a destructor of main");
    thread::spawn(|| {
        let _one = Says("a destructor of another");
        thread::sleep(Duration::MAX);
    });
    thread::yield_now();
    interrupt();
    thread::sleep(Duration::MAX);
}

struct Says(&'static str);

impl Drop for Says {
    fn drop(&mut self) {
        // Suspends, and goes on.
        thread::sleep(Duration::from_millis(1));
        println!("{}", self.0);
    }
}

fn interrupt() {
    // SAFETY: it touches no memory.
    unsafe { libc::raise(libc::SIGINT) };
}
