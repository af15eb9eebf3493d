//! `io::Io`: descriptors of kinds that the library has no type for.

mod support;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use support::{must_end, open_descriptors};
use sylvan::io::Io;
use sylvan::task::{Reason, State};
use sylvan::{thread, time};

fn owned(fd: i32) -> File {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: it has just been opened, for us.
    unsafe { File::from_raw_fd(fd) }
}

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: it only reads.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn a_timer_wakes_its_reader() {
    must_end(|| {
        sylvan::run(|| {
            // SAFETY: a plain call.
            let timer = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, 0) });
            let mut setting = libc::itimerspec {
                it_interval: libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 20_000_000,
                },
            };
            let begin = Instant::now();
            // SAFETY: the record lives across the call.
            let set = unsafe {
                libc::timerfd_settime(timer.as_raw_fd(), 0, &raw mut setting, std::ptr::null_mut())
            };
            assert_eq!(set, 0);
            let mut timer = Io::new(timer).unwrap();
            let reader = thread::spawn(move || {
                let mut count = [0; 8];
                timer.read_exact(&mut count).unwrap();
                u64::from_ne_bytes(count)
            });
            thread::yield_now();
            assert_eq!(reader.state(), State::Waiting(Reason::Readable));
            assert_eq!(reader.join().unwrap(), 1);
            assert!(begin.elapsed() >= Duration::from_millis(20));
        });
    });
}

#[test]
fn inotify_tells_of_a_new_file() {
    let folder = std::env::temp_dir().join(format!("sylvan-own-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    must_end(|| {
        sylvan::run(|| {
            // SAFETY: a plain call.
            let queue = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) });
            let name = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
            // SAFETY: the name ends with a zero.
            let watched = unsafe {
                libc::inotify_add_watch(queue.as_raw_fd(), name.as_ptr(), libc::IN_CREATE)
            };
            assert!(watched >= 0);
            let queue = Io::new(queue).unwrap();
            let watcher = thread::spawn(move || {
                queue.readable().unwrap();
                let mut events = [0; 4096];
                let count = (&queue).read(&mut events).unwrap();
                String::from_utf8_lossy(&events[..count]).into_owned()
            });
            thread::yield_now();
            std::fs::write(folder.join("news"), "").unwrap();
            assert!(watcher.join().unwrap().contains("news"));
        });
    });
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_full_pipe_suspends_its_writer() {
    must_end(|| {
        sylvan::run(|| {
            let (reader, writer) = io::pipe().unwrap();
            let (reader, writer) = (Io::new(reader).unwrap(), Io::new(writer).unwrap());
            let sender = thread::spawn(move || {
                for _ in 0..1000 {
                    (&writer).write_all(&[b'x'; 1000]).unwrap();
                }
            });
            thread::yield_now();
            assert_eq!(sender.state(), State::Waiting(Reason::Writable));
            let mut received = Vec::new();
            (&reader).read_to_end(&mut received).unwrap();
            assert_eq!(received.len(), 1_000_000);
            sender.join().unwrap();
        });
    });
}

#[test]
fn who_gives_up_has_read_nothing() {
    sylvan::run(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        let reader = Io::new(reader).unwrap();
        let late = time::timeout(Duration::from_millis(5), || reader.readable());
        assert!(late.is_err());
        let late = time::timeout(Duration::from_millis(5), || (&reader).read(&mut [0; 9]));
        assert!(late.is_err());
        writer.write_all(b"here").unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(&reader).unwrap(), "here");
    });
}

#[test]
fn it_leaves_in_the_mode_in_which_it_came() {
    let (reader, writer) = io::pipe().unwrap();
    let reader = Io::new(reader).unwrap();
    assert!(is_nonblocking(&reader));
    let reader = reader.into_inner();
    assert!(!is_nonblocking(&reader));

    // One that came in that mode waits all the same.
    // SAFETY: it only sets the mode.
    unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let reader = Io::new(reader).unwrap();
    must_end(|| {
        sylvan::run(|| {
            thread::scope(|scope| {
                let waiter = scope.spawn(|| (&reader).read(&mut [0; 9]));
                thread::yield_now();
                drop(writer);
                assert_eq!(waiter.join().unwrap().unwrap(), 0);
            });
        });
    });
    assert!(is_nonblocking(&reader.into_inner()));
}

#[test]
fn a_standard_stream_keeps_its_mode() {
    let stream = io::stderr();
    let before = is_nonblocking(&stream);
    let stream = Io::new(stream).unwrap();
    assert_eq!(is_nonblocking(&stream), before);
    stream.writable().unwrap();
    drop(stream);
    assert_eq!(is_nonblocking(&io::stderr()), before);
}

#[test]
fn attempts_are_made_until_they_do_not_wait() {
    must_end(|| {
        sylvan::run(|| {
            let (reader, mut writer) = io::pipe().unwrap();
            let reader = Io::new(reader).unwrap();
            writer.write_all(b"ab").unwrap();
            // Every attempt is the caller's, and every error but the one.
            let error = reader.read_with(|_| io::Result::<()>::Err(ErrorKind::Other.into()));
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Other);
            let mut attempts = 0;
            let late = time::timeout(Duration::from_millis(5), || {
                reader.read_with(|_| {
                    attempts += 1;
                    io::Result::<()>::Err(ErrorKind::WouldBlock.into())
                })
            });
            assert!(late.is_err() && attempts >= 1);
        });
    });
}

#[test]
fn what_is_not_open_is_refused_and_nothing_leaks() {
    let before = open_descriptors();
    sylvan::run(|| {
        for _ in 0..100 {
            let (reader, writer) = io::pipe().unwrap();
            let reader = Io::new(OwnedFd::from(reader)).unwrap();
            let _ = time::timeout(Duration::from_micros(10), || reader.readable());
            drop(writer);
        }
    });
    // Other tests of this file open some meanwhile.
    assert!(open_descriptors() < before + 100);
}
