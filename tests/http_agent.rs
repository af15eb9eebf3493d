//! ureq's own pool over our transport: it looks at connections, and drops them, under a lock of std.

mod support;
#[path = "support/http.rs"]
mod web;

use std::cell::Cell;
use std::rc::Rc;

use support::must_end;
use sylvan::http::{agent_with, ureq};
use sylvan::sync::Semaphore;
use sylvan::thread;
use web::{Request, Server, Stream, ok};

/// More than there is in a budget, whatever it is just now.
const BUDGET: usize = 200;

/// Were the look at a kept connection, or its end, to suspend the task whose budget is spent, the other would wait
/// for std's lock on the same OS thread, for ever.
#[test]
fn what_ureq_does_under_its_lock_never_suspends() {
    let server = Server::start(|request: &Request, stream: &mut dyn Stream| {
        // Every third one is found closed the next time.
        ok(stream, "!").map(|_| request.nth < 2)
    });
    must_end(|| {
        sylvan::run(|| {
            // With room for one: whatever else comes back is dropped under the lock.
            let config = ureq::Agent::config_builder()
                .proxy(None)
                .max_idle_connections(1);
            let agent = agent_with(config.build());
            let url = server.url("/");
            let rest = spend_always();
            let tasks: Vec<_> = (0..2)
                .map(|n| {
                    let (agent, url) = (agent.clone(), url.clone());
                    thread::spawn(move || {
                        for spent in n..BUDGET {
                            thread::yield_now();
                            spend(spent);
                            // An error: the server was about to close what the agent took.
                            if let Ok(mut response) = agent.get(&url).call() {
                                assert_eq!(response.body_mut().read_to_string().unwrap(), "!");
                            }
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            rest.set(true);
        });
    });
    assert!(server.connections() >= BUDGET * 2 / 3);
}

fn spend(units: usize) {
    let semaphore = Semaphore::new(1);
    for _ in 0..units {
        drop(semaphore.acquire());
    }
}

/// There is always somebody else to run, until it is told to rest.
fn spend_always() -> Rc<Cell<bool>> {
    let rests = Rc::new(Cell::new(false));
    let told = rests.clone();
    drop(thread::spawn_local(move || {
        while !told.get() {
            thread::yield_now();
        }
    }));
    rests
}
