//! Stacks of many kinds. What is asked is asked from closures that the optimiser may inline as it likes; so
//! these say most in release builds.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;

/// Runs its closure when dropped.
struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local! {
    static BASE: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Runs `f` at the base of what it asks about; it must ask so many times.
fn based(times: usize, f: fn()) {
    BASE.set(stack_pointer());
    ASKED.set(0);
    never_inlined(f);
    assert_eq!(ASKED.get(), times);
}

#[inline(never)]
fn never_inlined(f: impl FnOnce()) {
    f();
    black_box(());
}

/// Is something in the way, beyond doubt both ways?
#[track_caller]
fn expect(barrier: bool) {
    let found = barriers(BASE.get());
    ASKED.set(ASKED.get() + 1);
    // Not an assertion: a panic here would abort where it is wrong, and be caught elsewhere.
    let wrong = found.exist() != barrier || found.may_exist() != barrier;
    if wrong {
        let place = std::panic::Location::caller();
        eprintln!("{place}: expected {barrier}, found {found:?}");
        std::process::abort();
    }
}

#[track_caller]
fn expect_reach(place: usize, reaches: bool) {
    let found = barriers(BASE.get());
    ASKED.set(ASKED.get() + 1);
    if found.let_pass(place) != reaches || found.may_let_pass(place) != reaches {
        let caller = std::panic::Location::caller();
        eprintln!("{caller}: expected {reaches}, found {found:?} for {place}");
        std::process::abort();
    }
}

struct Thrown;

fn throw() {
    resume_unwind(Box::new(Thrown));
}

/// May unwind, for all that the compiler knows.
#[inline(never)]
fn opaque() {
    if black_box(false) {
        throw();
    }
}

fn catch(f: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(f)));
}

/// Does not unwind, as the optimiser finds out.
#[inline(never)]
fn safe(f: impl FnOnce()) -> bool {
    black_box(catch_unwind(AssertUnwindSafe(f)).is_err())
}

#[inline(never)]
fn safer(f: impl FnOnce()) -> bool {
    black_box(safe(f))
}

/// As the kernel's: shows its place to `f`, and passes on all but [`Thrown`].
#[inline(never)]
fn scope(f: impl FnOnce(usize)) {
    let result = catch_unwind(AssertUnwindSafe(|| f(stack_pointer())));
    if let Err(payload) = result
        && !payload.is::<Thrown>()
    {
        resume_unwind(payload);
    }
}

#[test]
fn there_is_none_where_nothing_unwinds() {
    based(14, || {
        expect(false);
        drop(AtDrop(|| expect(false)));
        catch(|| expect(false));
        safe(|| expect(false));
        safer(|| expect(false));
        let kept = catch_unwind(throw);
        expect(false);
        drop(kept);
        let mut values = vec![3, 1];
        values.sort_by(|one, other| {
            expect(false);
            one.cmp(other)
        });
        values.retain(|_| {
            expect(false);
            true
        });
        values.drain(..).for_each(|_| expect(false));
        drop(Box::new(AtDrop(|| expect(false))) as Box<dyn Any>);
        (Box::new(|| expect(false)) as Box<dyn Fn()>)();
        let with_pads = |count: &Cell<u32>| {
            let _at_drop = AtDrop(|| count.set(count.get() + 1));
            opaque();
            if safer(|| expect(false)) {
                opaque();
            }
        };
        with_pads(&Cell::new(0));
    });
}

#[test]
fn a_destructor_of_an_unwinding_is_one() {
    based(12, || {
        catch(|| {
            let _at_drop = AtDrop(|| expect(true));
            throw();
        });
        catch(|| {
            let _several = (AtDrop(|| expect(true)), [AtDrop(|| expect(true))]);
            let _boxed = Box::new(AtDrop(|| expect(true))) as Box<dyn Any>;
            opaque();
            throw();
        });
        // Those of the runtime's own.
        catch(|| {
            let _at_drop = AtDrop(|| expect(true));
            let cell = RefCell::new(0);
            let (_one, _other) = (cell.borrow_mut(), cell.borrow_mut());
        });
        // What they call, catch or throw.
        catch(|| {
            let _catches = AtDrop(|| catch(|| expect(true)));
            let _never_unwinds = AtDrop(|| {
                safer(|| expect(true));
            });
            let _throws = AtDrop(|| {
                catch(|| {
                    let _at_drop = AtDrop(|| expect(true));
                    throw();
                });
                expect(true);
            });
            throw();
        });
        // The rest of a vector, one of whose destructors has failed.
        catch(|| {
            let throws = Box::new(throw) as Box<dyn FnMut()>;
            drop(vec![
                AtDrop(throws),
                AtDrop(Box::new(|| expect(true))),
                AtDrop(Box::new(|| expect(true))),
            ]);
        });
        catch(|| {
            fn deep(levels: u32) {
                if levels == 0 {
                    return throw();
                }
                let _at_drop = AtDrop(|| {
                    if levels == 3 {
                        expect(true);
                    }
                });
                deep(levels - 1);
            }
            deep(10);
        });
    });
}

#[test]
fn a_frame_of_c_is_one() {
    extern "C" fn call<F: FnMut()>(f: &mut F) {
        f();
    }
    based(4, || {
        call(&mut || expect(true));
        call(&mut || scope(|place| expect_reach(place, true)));
        scope(|place| {
            call(&mut || expect_reach(place, false));
            expect_reach(place, true);
        });
    });
}

#[test]
fn scopes_are_reached_up_to_the_innermost() {
    based(13, || {
        scope(|outer| {
            expect_reach(outer, true);
            let _at_drop = AtDrop(|| {
                expect_reach(outer, false);
                scope(|inner| {
                    expect_reach(inner, true);
                    expect_reach(outer, false);
                    catch(|| expect_reach(inner, true));
                    let _at_drop = AtDrop(|| {
                        expect_reach(inner, false);
                        scope(|innermost| {
                            expect_reach(innermost, true);
                            expect_reach(inner, false);
                            throw();
                        });
                    });
                    scope(|beside| {
                        expect_reach(beside, true);
                        expect_reach(inner, true);
                        expect_reach(outer, false);
                        throw();
                    });
                    throw();
                });
                safer(|| expect_reach(outer, false));
            });
            throw();
        });
        scope(|place| {
            drop(AtDrop(|| expect_reach(place, true)));
            throw();
        });
    });
}

#[test]
fn the_end_of_the_stack_is_one() {
    let found = barriers(usize::MAX);
    assert!(found.exist());
    assert!(found.let_pass(stack_pointer()));
}
