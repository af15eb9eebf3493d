//! The crawl itself: workers that take URLs from the frontier until it says that it is over.

use crate::frontier::{Frontier, Job};
use crate::interrupt;
use crate::outcome::{Outcome, Visit};
use crate::page::Fetcher;
use crate::report::Report;
use crate::robots::RobotsRules;
use crate::summary::Summary;
use std::mem;
use std::time::Instant;
use sylvan::http::Session;
use sylvan::sync::Arc;
use sylvan::sync::atomic::{AtomicBool, Ordering};
use sylvan::thread;
use url::Url;

/// What the workers share.
pub struct Crawl {
    pub session: Session,
    pub largest_body: u64,
    pub frontier: Frontier,
    /// `None` if robots.txt is to be ignored.
    pub robots: Option<RobotsRules>,
    pub report: Report,
    pub interrupted: AtomicBool,
}

/// How a crawl ended.
pub struct Ending {
    pub summary: Summary,
    pub was_interrupted: bool,
    /// Why the report is not complete, if it is not.
    pub trouble: Option<String>,
}

impl Crawl {
    /// Crawls with so many workers until all is done, ^C is pressed, or the report cannot be written.
    pub fn run(self, workers: u32) -> Result<Ending, String> {
        let begun = Instant::now();
        let crawl = Arc::new(self);
        crawl.stop_on_interrupt()?;
        let workers = (0..workers).map(|number| crawl.start_worker(number));
        let workers: Vec<_> = workers.collect::<Result<_, _>>()?;
        let was_stopped = crawl.frontier.wait();
        if was_stopped {
            workers.iter().for_each(thread::JoinHandle::cancel);
        }
        let ends = workers.into_iter().map(thread::JoinHandle::join);
        let broken = ends.filter(Result::is_err).count();
        let (mut summary, mut trouble) = crawl.report.finish(begun.elapsed());
        // Workers that were cancelled end as if they had panicked.
        if broken > 0 && !was_stopped {
            trouble = trouble.or(Some(format!("{broken} workers panicked")));
        }
        summary.not_tried = crawl.frontier.waiting();
        let was_interrupted = crawl.interrupted.load(Ordering::Relaxed);
        Ok(Ending {
            summary,
            was_interrupted,
            trouble,
        })
    }

    fn stop_on_interrupt(self: &Arc<Self>) -> Result<(), String> {
        let crawl = Arc::clone(self);
        let stop = move || {
            crawl.interrupted.store(true, Ordering::Relaxed);
            crawl.frontier.stop();
        };
        interrupt::on_interrupt(stop).map_err(|error| format!("cannot listen for ^C: {error}"))
    }

    fn start_worker(self: &Arc<Self>, number: u32) -> Result<thread::JoinHandle<()>, String> {
        let crawl = Arc::clone(self);
        let worker = thread::Builder::new().name(format!("worker {number}"));
        worker
            .spawn(move || crawl.work())
            .map_err(|error| format!("cannot start worker {number}: {error}"))
    }

    fn work(&self) {
        let mut fetcher = Fetcher::new(self.session.clone(), self.largest_body);
        while let Some(job) = self.frontier.next() {
            let mut record = Record {
                crawl: self,
                url: job.url.clone(),
                visit: Visit::cancelled(),
            };
            record.visit = self.visit(job, &mut fetcher);
        }
    }

    fn visit(&self, job: Job, fetcher: &mut Fetcher) -> Visit {
        if let Some(outcome) = self
            .robots
            .as_ref()
            .and_then(|robots| robots.objection(&job.url))
        {
            job.not_fetched();
            return Visit::without_request(outcome);
        }
        let mut visit = fetcher.visit(&job.url);
        match &mut visit.outcome {
            Outcome::Page(links) => job.found(mem::take(links)),
            Outcome::Redirect(target) => {
                if let Err(failure) = job.redirected(target.clone()) {
                    visit.outcome = Outcome::Failed(failure);
                }
            }
            Outcome::Skipped(_) | Outcome::Failed(_) => job.done(),
        }
        visit
    }
}

/// Reports the visit when it goes out of scope, so that a visit which is cancelled is reported too.
struct Record<'a> {
    crawl: &'a Crawl,
    url: Url,
    visit: Visit,
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let is_written = self
            .crawl
            .report
            .add(&self.url, &self.visit, self.crawl.frontier.known());
        if !is_written {
            self.crawl.frontier.stop();
        }
    }
}
