//! ureq's own pool over our transport: it looks at connections, and drops them, under a lock of std.

mod support;
#[path = "support/http.rs"]
mod web;

use support::must_end;
use sylvan::http::{agent_with, ureq};
use sylvan::sync::Semaphore;
use sylvan::thread;
use web::{Request, Server, Stream, ok};

/// More than there is in a budget, whatever it is just now.
const BUDGET: usize = 200;

const TASKS: usize = 16;

/// Were the look at a kept connection, or its end, to suspend the task whose budget is spent, another would wait
/// for std's lock on the same OS thread, for ever. Two would do; of many one is there just then.
#[test]
fn what_ureq_does_under_its_lock_never_suspends() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        // Every third one is found closed the next time.
        ok(stream, "!").map(|_| request.nth < 2)
    });
    must_end(|| {
        sylvan::run(|| {
            // With room for some: whatever else comes back is dropped under the lock.
            let config = ureq::Agent::config_builder()
                .proxy(None)
                .max_idle_connections(TASKS / 2)
                .max_idle_connections_per_host(TASKS / 2);
            let agent = agent_with(config.build());
            let url = server.url("/");
            let tasks: Vec<_> = (0..TASKS)
                .map(|n| {
                    let (agent, url) = (agent.clone(), url.clone());
                    thread::spawn(move || {
                        for spent in 0..BUDGET {
                            thread::yield_now();
                            spend(spent + n);
                            // An error: the server was about to close what the agent took.
                            if let Ok(mut response) = agent.get(&url).call() {
                                assert_eq!(response.body_mut().read_to_string().unwrap(), "!");
                            }
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    });
    assert!(server.connections() >= BUDGET * TASKS / 3);
}

fn spend(units: usize) {
    let semaphore = Semaphore::new(1);
    for _ in 0..units {
        drop(semaphore.acquire());
    }
}
