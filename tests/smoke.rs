//! First signs of life.

use std::time::{Duration, Instant};
use sylvan::{runtime::Runtime, task::Cancelled, thread, time};

#[test]
fn basics() {
    let r = sylvan::run(|| {
        let t: Vec<_> = (0..100u64)
            .map(|n| {
                thread::spawn(move || {
                    thread::yield_now();
                    n
                })
            })
            .collect();
        t.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
    });
    assert_eq!(r, 4950);
}
#[test]
fn sleeps() {
    let start = Instant::now();
    sylvan::run(|| {
        let t: Vec<_> = (0..1000u64)
            .map(|n| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(n % 50));
                    n
                })
            })
            .collect();
        for t in t {
            t.join().unwrap();
        }
    });
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}
#[test]
fn cancel_and_timeout() {
    sylvan::run(|| {
        let t = thread::spawn(|| thread::sleep(Duration::from_secs(100)));
        thread::yield_now();
        t.cancel();
        assert!(t.join().unwrap_err().is::<Cancelled>());
        let start = Instant::now();
        let r = time::timeout(Duration::from_millis(20), || {
            thread::scope(|s| {
                s.spawn(|| thread::sleep(Duration::from_secs(3600)));
            });
        });
        assert!(r.is_err());
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}
#[test]
fn leftovers() {
    struct D(std::sync::Arc<std::sync::atomic::AtomicU32>);
    impl Drop for D {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(1));
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let n = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    sylvan::run(|| {
        for i in 0..10 {
            let d = D(n.clone());
            thread::spawn(move || {
                let _d = d;
                thread::sleep(Duration::from_secs(100));
            });
            if i % 2 == 0 {
                thread::yield_now();
            }
        }
    });
    assert_eq!(n.load(std::sync::atomic::Ordering::SeqCst), 10);
}
#[test]
fn many_hubs() {
    let rt = Runtime::builder().workers(4).build().unwrap();
    let sum = rt.run(|| {
        let t: Vec<_> = (0..10000u64)
            .map(|n| {
                thread::spawn(move || {
                    for _ in 0..10 {
                        thread::yield_now();
                    }
                    n
                })
            })
            .collect();
        t.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sum, 49995000);
    rt.close();
}
#[test]
fn from_plain() {
    let t = thread::spawn(|| {
        thread::sleep(Duration::from_millis(5));
        3
    });
    assert_eq!(t.join().unwrap(), 3);
    let x = sylvan::run(|| {
        sylvan::offload(|| {
            std::thread::sleep(Duration::from_millis(3));
            thread::spawn(|| 4).join().unwrap()
        })
    });
    assert_eq!(x, 4);
    assert_eq!(
        sylvan::run(|| sylvan::run(|| {
            thread::spawn(|| thread::sleep(Duration::from_secs(10)));
            4
        })),
        4
    );
}
#[test]
fn panics() {
    let r = std::panic::catch_unwind(|| sylvan::run(|| panic!("boom")));
    assert_eq!(*r.unwrap_err().downcast::<&str>().unwrap(), "boom");
}
