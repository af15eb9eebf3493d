//! The frontier of the crawl: what is to be fetched, what has been, and when it is all over.
//!
//! Workers take a [`Job`] with [`Frontier::next`] and end it with what they found. The crawl is over when nothing waits
//! and nobody works, and whoever makes that true wakes everybody: no worker ever polls.

use crate::outcome::Failure;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Deref;
use sylvan::sync::{Condvar, Mutex, MutexGuard};
use url::Url;

/// How far a crawl may go.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    pub pages: Option<u64>,
    pub depth: Option<u32>,
    pub all_hosts: bool,
}

/// More redirects than any honest site needs, as browsers see it.
const MOST_REDIRECTS: u32 = 10;

/// The queue of one crawl.
pub struct Frontier {
    state: Mutex<State>,
    work: Condvar,
    over: Condvar,
}

#[derive(Default)]
struct State {
    limits: Limits,
    queue: VecDeque<Entry>,
    seen: HashSet<Url>,
    redirects: HashMap<Url, Url>,
    hosts: HashSet<Host>,
    level: u32,
    active: u64,
    fetched: u64,
    stopped: bool,
}

type Host = (String, Option<u16>);

/// A URL to fetch.
#[derive(Clone)]
pub struct Entry {
    pub url: Url,
    pub depth: u32,
    redirects: u32,
}

impl Frontier {
    /// A crawl from `seeds`, which keeps to their hosts and to `more_hosts` unless the limits say otherwise.
    pub fn new(limits: Limits, seeds: &[Url], more_hosts: &[Url]) -> Self {
        let mut state = State {
            limits,
            hosts: seeds.iter().chain(more_hosts).map(host).collect(),
            ..State::default()
        };
        for url in seeds {
            state.add(url.clone(), 0);
        }
        let (work, over) = (Condvar::new(), Condvar::new());
        Self {
            state: Mutex::new(state),
            work,
            over,
        }
    }

    /// The next URL, waiting for one if others may still find some; `None` when the crawl is over.
    pub fn next(&self) -> Option<Job<'_>> {
        let mut state = self.lock();
        while !state.is_over() {
            if let Some(entry) = state.take() {
                return Some(Job {
                    frontier: self,
                    entry,
                    ended: false,
                });
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        None
    }

    /// Hands out no more URLs.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        self.wake(&state, 0);
    }

    /// Waits until nothing is left to do, or until [`stop`](Self::stop); `true` if it was stopped.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        while !state.is_over() {
            state = self
                .over
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.stopped
    }

    /// How many URLs are known.
    pub fn known(&self) -> u64 {
        self.lock().seen.len() as u64
    }

    /// How many URLs nobody has tried yet.
    pub fn waiting(&self) -> u64 {
        self.lock().queue.len() as u64
    }

    fn end(&self, was_fetched: bool, add: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let before = state.queue.len();
        add(&mut state);
        state.active -= 1;
        state.fetched += u64::from(was_fetched);
        let added = state.queue.len() - before;
        self.wake(&state, added);
    }

    /// Wakes as many as there is new work for. The worker that brought it will itself take one.
    fn wake(&self, state: &State, added: usize) {
        let may_change_for_all =
            state.is_over() || state.active == 0 || state.limits.pages.is_some();
        match added {
            _ if may_change_for_all => self.work.notify_all(),
            0 | 1 => {}
            many => (1..many).for_each(|_| self.work.notify_one()),
        }
        if state.is_over() {
            self.over.notify_all();
        }
    }

    /// User code cannot panic under this lock, and a cancelled worker poisons nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self) -> bool {
        let is_full = self.limits.pages.is_some_and(|most| self.fetched >= most);
        self.stopped || (self.active == 0 && (is_full || self.queue.is_empty()))
    }

    fn take(&mut self) -> Option<Entry> {
        // What is being fetched may turn out not to count, and then another one may begin.
        if self
            .limits
            .pages
            .is_some_and(|most| self.fetched + self.active >= most)
        {
            return None;
        }
        let depth = self.queue.front()?.depth;
        // A page's depth is the shortest way to it only if no level begins before the last one has ended. Without a
        // limit nobody asks for the depth, and all may go as fast as they can.
        if self.limits.depth.is_some() && depth > self.level {
            if self.active > 0 {
                return None;
            }
            self.level = depth;
        }
        self.active += 1;
        self.queue.pop_front()
    }

    fn add(&mut self, url: Url, depth: u32) {
        if !self.seen.contains(&url) {
            self.seen.insert(url.clone());
            self.queue.push_back(Entry {
                url,
                depth,
                redirects: 0,
            });
        }
    }

    fn covers(&self, url: &Url) -> bool {
        self.limits.all_hosts || self.hosts.contains(&host(url))
    }

    /// Whether following the redirects known so far leads from `start` to `goal`.
    fn leads(&self, start: &Url, goal: &Url) -> bool {
        let mut steps = std::iter::successors(Some(start), |&url| self.redirects.get(url));
        steps.any(|url| url == goal)
    }
}

/// A URL that is being worked on. Dropped without an end, as when its worker is cancelled, it counts as fetched.
pub struct Job<'a> {
    frontier: &'a Frontier,
    entry: Entry,
    ended: bool,
}

impl Job<'_> {
    /// The page has these links.
    pub fn found(mut self, links: Vec<Url>) {
        let depth = self.entry.depth + 1;
        self.end(true, |state| {
            if state.limits.depth.is_some_and(|deepest| depth > deepest) {
                return;
            }
            for link in links {
                if state.covers(&link) {
                    state.add(link, depth);
                }
            }
        });
    }

    /// The URL leads to `target`, which is fetched next unless it was already.
    pub fn redirected(mut self, target: Url) -> Result<(), Failure> {
        let mut result = Ok(());
        let Entry {
            url,
            depth,
            redirects,
        } = self.entry.clone();
        self.end(true, |state| {
            // Whoever closes a ring reports it, so each ring is reported once.
            if state.leads(&target, &url) {
                result = Err(Failure::RedirectLoop);
            } else if redirects == MOST_REDIRECTS {
                result = Err(Failure::TooManyRedirects);
            } else {
                // Where the first page really lives is where the crawl is meant to go.
                if depth == 0 {
                    state.hosts.insert(host(&target));
                }
                state.redirects.insert(url, target.clone());
                if state.covers(&target) && state.seen.insert(target.clone()) {
                    let redirects = redirects + 1;
                    state.queue.push_front(Entry {
                        url: target,
                        depth,
                        redirects,
                    });
                }
            }
        });
        result
    }

    /// The URL was fetched and leads nowhere.
    pub fn done(mut self) {
        self.end(true, |_| {});
    }

    /// The URL needed no request, so it takes nothing from the number of pages.
    pub fn not_fetched(mut self) {
        self.end(false, |_| {});
    }

    fn end(&mut self, was_fetched: bool, add: impl FnOnce(&mut State)) {
        self.ended = true;
        self.frontier.end(was_fetched, add);
    }
}

impl Deref for Job<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(true, |_| {});
        }
    }
}

fn host(url: &Url) -> Host {
    (
        url.host_str().unwrap_or_default().to_owned(),
        url.port_or_known_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://site/").unwrap().join(path).unwrap()
    }

    fn frontier(limits: Limits) -> Frontier {
        Frontier::new(limits, &[url("/")], &[])
    }

    fn next(frontier: &Frontier) -> (Job<'_>, String) {
        let job = frontier.next().unwrap();
        let path = job.url.path().to_owned();
        (job, path)
    }

    #[test]
    fn hands_out_each_url_of_the_host_once_in_breadth_first_order() {
        let frontier = frontier(Limits::default());
        next(&frontier)
            .0
            .found(vec![url("a"), url("b"), url("http://other/"), url("a")]);
        let (job, path) = next(&frontier);
        assert_eq!(path, "/a");
        job.found(vec![url("c"), url("/")]);
        assert_eq!([next(&frontier).1, next(&frontier).1], ["/b", "/c"]);
        assert!(frontier.next().is_none());
        assert!(!frontier.wait());
    }

    #[test]
    fn keeps_to_its_limits() {
        let pages = frontier(Limits {
            pages: Some(2),
            ..Limits::default()
        });
        next(&pages).0.found(vec![url("a"), url("b"), url("c")]);
        next(&pages).0.not_fetched();
        drop(next(&pages));
        assert!(pages.next().is_none());

        let depth = frontier(Limits {
            depth: Some(1),
            ..Limits::default()
        });
        next(&depth).0.found(vec![url("a")]);
        next(&depth).0.found(vec![url("b")]);
        assert!(depth.next().is_none());
    }

    #[test]
    fn ends_redirects_that_never_end() {
        let ring = frontier(Limits::default());
        next(&ring).0.redirected(url("a")).unwrap();
        next(&ring).0.redirected(url("b")).unwrap();
        assert_eq!(
            next(&ring).0.redirected(url("a")),
            Err(Failure::RedirectLoop)
        );
        assert!(ring.next().is_none());

        let endless = frontier(Limits::default());
        for number in 0..MOST_REDIRECTS {
            next(&endless)
                .0
                .redirected(url(&number.to_string()))
                .unwrap();
        }
        assert_eq!(
            next(&endless).0.redirected(url("more")),
            Err(Failure::TooManyRedirects)
        );
        assert!(endless.next().is_none());
    }

    #[test]
    fn wakes_every_worker_when_the_last_one_ends() {
        let frontier = frontier(Limits::default());
        let first = frontier.next().unwrap();
        std::thread::scope(|scope| {
            let idle: Vec<_> = (0..10)
                .map(|_| scope.spawn(|| frontier.next().is_none()))
                .collect();
            first.done();
            assert!(idle.into_iter().all(|worker| worker.join().unwrap()));
        });
    }

    #[test]
    fn gives_nothing_out_once_stopped() {
        let frontier = frontier(Limits::default());
        frontier.stop();
        assert!(frontier.next().is_none());
        assert!(frontier.wait());
    }
}
