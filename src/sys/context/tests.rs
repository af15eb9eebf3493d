use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;

use super::{Context, Return, Root};
use crate::sys::stack::Pool;
use crate::sys::unwind::stack_pointer;

type Work<'a> = Box<dyn FnMut(&Job<'_>) + 'a>;

/// Something to run on a context.
struct Job<'a> {
    root: &'a Root,
    context: Cell<Option<NonNull<Context>>>,
    work: RefCell<Work<'a>>,
}

impl Job<'_> {
    fn suspend(&self) {
        // SAFETY: called from its work, which runs on that context.
        unsafe { self.root.suspend(self.context.get().unwrap().as_ref()) }
    }

    /// Whether the work is done.
    fn resume_on(&self, context: &Context) -> bool {
        self.context.set(Some(NonNull::from(context)));
        // SAFETY: the context is of this thread, and all jobs here have one root; `run` takes a job.
        unsafe { self.root.resume(context, NonNull::from(self).cast()) }
    }
}

fn job<'a>(root: &'a Root, work: impl FnMut(&Job<'_>) + 'a) -> Job<'a> {
    Job {
        root,
        context: Cell::new(None),
        work: RefCell::new(Box::new(work)),
    }
}

unsafe extern "C" fn run(job: NonNull<()>) -> Return {
    // SAFETY: all that is resumed here is resumed with a job.
    let job = unsafe { job.cast::<Job<'_>>().as_ref() };
    (job.work.borrow_mut())(job);
    Return {
        root: NonNull::from(job.root),
        context: job.context.get().unwrap(),
    }
}

fn give_back(pool: &mut Pool, context: Context) {
    // SAFETY: the tests call this when the work is done.
    pool.give(unsafe { context.into_stack() });
}

#[test]
fn contexts_take_turns() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let log = RefCell::new(Vec::new());
    let jobs: Vec<_> = (0..3)
        .map(|number| {
            let log = &log;
            job(&root, move |job| {
                for round in 0..number + 1 {
                    log.borrow_mut().push((number, round));
                    job.suspend();
                }
            })
        })
        .collect();
    let contexts: Vec<_> = (0..3)
        .map(|_| Context::new(pool.take(1).unwrap(), run))
        .collect();
    let mut done = [false; 3];
    while done.contains(&false) {
        for (index, job) in jobs.iter().enumerate() {
            if !done[index] {
                contexts[index].prefetch();
                done[index] = job.resume_on(&contexts[index]);
            }
        }
    }
    let expected = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)];
    assert_eq!(*log.borrow(), expected);
    contexts
        .into_iter()
        .for_each(|context| give_back(&mut pool, context));
    assert_eq!(pool.live(), 0);
}

#[test]
fn a_context_runs_one_job_after_another() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let places = RefCell::new(Vec::new());
    for suspends in [0, 1, 5, 0] {
        // The stack that was just given back comes again, and what rests on it with it.
        let context = Context::new(pool.take(1).unwrap(), run);
        let job = job(&root, |job| {
            places.borrow_mut().push(stack_pointer());
            (0..suspends).for_each(|_| job.suspend());
        });
        (0..suspends).for_each(|_| assert!(!job.resume_on(&context)));
        assert!(job.resume_on(&context));
        give_back(&mut pool, context);
    }
    // Nothing piles up on the stack.
    assert!(places.borrow().windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(places.borrow().len(), 4);
}

#[test]
fn a_stack_whose_memory_was_returned_is_prepared_anew() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let ran = Cell::new(0);
    let job = job(&root, |_| ran.set(ran.get() + 1));
    for _ in 0..2 {
        // More than a pool keeps when it is idle.
        let contexts: Vec<_> = (0..200)
            .map(|_| Context::new(pool.take(1).unwrap(), run))
            .collect();
        contexts
            .iter()
            .for_each(|context| assert!(job.resume_on(context)));
        contexts
            .into_iter()
            .for_each(|context| give_back(&mut pool, context));
        while pool.trim() {}
    }
    assert_eq!(ran.get(), 400);
}

#[test]
fn what_either_side_has_in_registers_is_kept() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let context = Context::new(pool.take(1).unwrap(), run);
    // More of each kind than there are registers.
    let mix = |seed: u64, switch: &dyn Fn()| {
        let mut whole: [u64; 24] = std::array::from_fn(|index| black_box(seed + index as u64));
        let mut real: [f64; 40] =
            std::array::from_fn(|index| black_box(seed as f64 + index as f64));
        for _ in 0..100 {
            switch();
            whole
                .iter_mut()
                .for_each(|each| *each = each.wrapping_mul(3) + 1);
            real.iter_mut().for_each(|each| *each = *each * 0.5 + 1.0);
        }
        (whole, real)
    };
    let inner = Cell::new(None);
    let job = job(&root, |job| inner.set(Some(mix(1, &|| job.suspend()))));
    let outer = mix(2, &|| assert!(!job.resume_on(&context)));
    assert!(job.resume_on(&context));
    assert_eq!(inner.get(), Some(mix(1, &|| ())));
    assert_eq!(outer, mix(2, &|| ()));
    give_back(&mut pool, context);
}

#[test]
fn a_panic_is_caught_on_a_context() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let context = Context::new(pool.take(1).unwrap(), run);
    let caught = Cell::new(None);
    let job = job(&root, |job| {
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            job.suspend();
            panic::resume_unwind(Box::new(7));
        }));
        caught.set(result.unwrap_err().downcast_ref::<i32>().copied());
    });
    assert!(!job.resume_on(&context));
    assert!(job.resume_on(&context));
    assert_eq!(caught.get(), Some(7));
    give_back(&mut pool, context);
}

#[test]
fn a_backtrace_ends_with_the_context() {
    let (root, mut pool) = (Root::default(), Pool::new());
    let trace = RefCell::new(String::new());
    let job = job(&root, |job| {
        job.suspend();
        let backtrace = Backtrace::force_capture();
        assert_eq!(backtrace.status(), BacktraceStatus::Captured);
        *trace.borrow_mut() = backtrace.to_string();
    });
    let context = Context::new(pool.take(1 << 20).unwrap(), run);
    assert!(!job.resume_on(&context));
    // Resumed from elsewhere than it was before.
    let elsewhere = |depth| resume_from(&job, &context, depth);
    assert!(elsewhere(10));
    give_back(&mut pool, context);
    let trace = trace.borrow();
    assert!(
        trace.contains("a_backtrace_ends_with_the_context"),
        "{trace}"
    );
    if cfg!(all(target_arch = "x86_64", not(sylvan_asan))) {
        assert!(trace.contains("wait_for_argument"), "{trace}");
        assert!(!trace.contains("resume_from"), "{trace}");
    }
}

#[inline(never)]
fn resume_from(job: &Job<'_>, context: &Context, depth: u32) -> bool {
    if depth == 0 {
        return job.resume_on(context);
    }
    black_box(resume_from(job, context, depth - 1))
}
