//! A program that is built with `panic = "abort"`: nothing can unwind, so what is cancelled fails, waits on
//! or is leaked. The cases are in `tests/panic_abort/src/main.rs`.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::must_end;

/// Builds the program once, in a target directory of its own: it does not wait for the lock of the build that
/// runs this test, and is there the next time.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic_abort");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--profile", "abort"])
            .args(["--package", "sylvan-panic-abort", "--target-dir"])
            .arg(&target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        target.join("abort").join("sylvan-panic-abort")
    })
}

fn passes(case: &str) {
    let program = program();
    let output = must_end(|| Command::new(program).arg(case).output().unwrap());
    let written = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && written.contains(&format!("passed: {case}")),
        "{case}: {}\n{written}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A test for each case: its name, and what the program calls it.
macro_rules! cases {
    ($($test:ident: $case:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            passes($case);
        }
    )+};
}

cases! {
    suspended_calls_with_a_result_fail: "suspended calls with a result fail",
    calls_that_need_not_wait_succeed: "calls that need not wait succeed",
    calls_that_are_always_ready_fail_in_time: "calls that are always ready fail in time",
    an_outdated_call_fails: "an outdated call fails",
    an_event_goes_to_who_still_waits: "an event goes to who still waits",
    calls_without_a_result_complete: "calls without a result complete",
    a_long_series_of_waits_loses_no_wake_up: "a long series of waits loses no wake-up",
    a_mask_holds_the_failure_back: "a mask holds the failure back",
    who_has_not_started_never_runs: "who has not started never runs",
    a_wait_for_a_child_has_its_own_limit: "a wait for a child has its own limit",
    leftovers_are_leaked: "leftovers are leaked",
    leftovers_that_can_fail_end: "leftovers that can fail end",
    leftovers_of_a_nested_run_live_on: "leftovers of a nested run live on",
}
