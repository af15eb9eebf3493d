//! Files and folders: as std's, and without keeping a hub.

mod support;

use std::ffi::CString;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use support::{assert_success, in_child, is_child, must_end};
use sylvan::fs::{self, DirBuilder, File, FileTimes, OpenOptions, TryLockError};
use sylvan::os::unix::fs::{
    DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use sylvan::task::{Reason, State};
use sylvan::time::timeout;
use sylvan::{offload, thread};

/// A folder of one's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sylvan-fs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Both where green threads run and where none do.
fn everywhere(check: impl Fn(&Folder)) {
    sylvan::run(|| check(&Folder::new()));
    check(&Folder::new());
}

fn fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// Throws a file out of the kernel's caches.
fn forget(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    // SAFETY: it takes numbers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

// ---- files

#[test]
fn files_are_written_read_and_sought() {
    everywhere(|folder| {
        let path = folder.path("a");
        let mut file = File::create(&path).unwrap();
        assert_eq!(file.write(b"0123").unwrap(), 4);
        let parts = [
            IoSlice::new(b"45"),
            IoSlice::new(b""),
            IoSlice::new(b"6789"),
        ];
        assert_eq!(file.write_vectored(&parts).unwrap(), 6);
        file.flush().unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        assert_eq!(
            file.read(&mut [0]).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );

        for cached in [true, false] {
            if !cached {
                forget(&path);
            }
            let mut file = File::open(&path).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 10);
            let (mut a, mut b) = ([0; 3], [0; 3]);
            let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
            let count = file.read_vectored(&mut parts).unwrap();
            assert!(count == 6 || count == 3, "{count}");
            assert_eq!(&a, b"012");
            assert_eq!(file.seek(SeekFrom::Start(8)).unwrap(), 8);
            let mut text = String::from("<");
            assert_eq!(file.read_to_string(&mut text).unwrap(), 2);
            assert_eq!(text, "<89");
            assert_eq!(file.read(&mut a).unwrap(), 0, "the end");
            assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 9);
            assert_eq!(file.stream_position().unwrap(), 9);
            file.rewind().unwrap();
            let mut bytes = vec![b'>'];
            assert_eq!((&file).read_to_end(&mut bytes).unwrap(), 10);
            assert_eq!(bytes, b">0123456789");
            assert_eq!(
                file.write(b"!").unwrap_err().raw_os_error(),
                Some(libc::EBADF)
            );
        }
    });
}

#[test]
fn places_that_are_told_move_nothing() {
    everywhere(|folder| {
        let path = folder.path("a");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"abc").unwrap();
        file.write_all_at(b"xyz", 5).unwrap();
        assert_eq!(file.write_at(b"-", 4).unwrap(), 1);
        for cached in [true, false] {
            if !cached {
                forget(&path);
            }
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!(&bytes, b"abc\0-xyz");
            assert_eq!(file.read_at(&mut bytes, 6).unwrap(), 2);
            let error = file.read_exact_at(&mut bytes, 6).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
        assert_eq!(file.stream_position().unwrap(), 3);
        assert!(file.read_at(&mut [0], u64::MAX).is_err());
    });
}

#[test]
fn clones_share_their_place_and_order_holds() {
    everywhere(|folder| {
        let mut one = File::create_new(folder.path("a")).unwrap();
        let mut other = one.try_clone().unwrap();
        for number in 0..20_u8 {
            let file = if number % 2 == 0 {
                &mut one
            } else {
                &mut other
            };
            file.write_all(&[number]).unwrap();
        }
        one.rewind().unwrap();
        let mut bytes = Vec::new();
        other.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, (0..20).collect::<Vec<u8>>());
    });
}

#[test]
fn green_threads_that_append_lose_nothing() {
    sylvan::run(|| {
        let folder = Folder::new();
        let path = folder.path("log");
        thread::scope(|scope| {
            for number in 0..20 {
                let path = &path;
                scope.spawn(move || {
                    let mut file = OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(path)
                        .unwrap();
                    for _ in 0..20 {
                        file.write_all(format!("line of {number}\n").as_bytes())
                            .unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 400);
        assert!(text.lines().all(|line| line.starts_with("line of ")));
    });
}

#[test]
fn large_files_come_whole() {
    everywhere(|folder| {
        let path = folder.path("large");
        let bytes: Vec<u8> = (0..5_000_000).map(|n| (n % 253) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        forget(&path);
        assert!(fs::read(&path).unwrap() == bytes);
        forget(&path);
        let mut again = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == bytes);
        assert_eq!(fs::copy(&path, folder.path("copy")).unwrap(), 5_000_000);
        assert!(fs::read(folder.path("copy")).unwrap() == bytes);
    });
}

#[test]
fn a_read_to_the_end_that_is_left_has_what_was_read_and_no_more() {
    sylvan::run(|| {
        let folder = Folder::new();
        fifo(&folder.path("pipe"));
        let path = folder.path("pipe");
        let writer = thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
            pipe.write_all(b"half").unwrap();
            pipe
        });
        let mut reader = File::open(folder.path("pipe")).unwrap();
        let _open = writer.join().unwrap();
        let mut bytes = b"<".to_vec();
        let left = timeout(Duration::from_millis(20), || reader.read_to_end(&mut bytes));
        assert!(left.is_err());
        assert_eq!(bytes, b"<half");
    });
}

#[test]
fn options_open_as_std_s_do() {
    everywhere(|folder| {
        let path = folder.path("a");
        for bits in 0..64_u32 {
            let is = |bit: u32| bits & (1 << bit) != 0;
            let mut std = std::fs::OpenOptions::new();
            std.read(is(0)).write(is(1)).append(is(2));
            std.truncate(is(3)).create(is(4)).create_new(is(5));
            let mut ours = OpenOptions::new();
            ours.read(is(0)).write(is(1)).append(is(2));
            ours.truncate(is(3)).create(is(4)).create_new(is(5));
            for exists in [true, false] {
                let mut results = Vec::new();
                for ours_or_std in [true, false] {
                    let _ = std::fs::remove_file(&path);
                    if exists {
                        std::fs::write(&path, "old").unwrap();
                    }
                    let file = match ours_or_std {
                        true => ours.open(&path).map(std::fs::File::from),
                        false => std.open(&path),
                    };
                    let result = file.map(|mut file| {
                        let write = file.write(b"new").map_err(|error| error.raw_os_error());
                        let read = file.read(&mut [0; 9]).map_err(|error| error.raw_os_error());
                        (write, read)
                    });
                    let content = std::fs::read(&path).ok();
                    let result = result.map_err(|error| (error.kind(), error.raw_os_error()));
                    results.push((result, content));
                }
                assert_eq!(results[0], results[1], "{bits:06b}, exists: {exists}");
            }
        }
        let mode = OpenOptions::new()
            .write(true)
            .create(true)
            .mode(0o640)
            .open(folder.path("m"));
        assert_eq!(
            mode.unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o640
        );
        let mut no_follow = OpenOptions::new();
        no_follow.read(true).custom_flags(libc::O_NOFOLLOW);
        symlink("m", folder.path("link")).unwrap();
        let error = no_follow.open(folder.path("link")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        assert!(no_follow.open(folder.path("m")).is_ok());
        assert!(format!("{no_follow:?}").contains("OpenOptions"));
    });
}

#[test]
fn what_is_known_of_a_file_can_be_set() {
    everywhere(|folder| {
        let path = folder.path("a");
        let file = File::create_new(&path).unwrap();
        file.set_len(1000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1000);
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        file.set_modified(past).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), past);
        file.set_times(FileTimes::new().set_accessed(past)).unwrap();
        assert_eq!(file.metadata().unwrap().accessed().unwrap(), past);
        let mut permissions = file.metadata().unwrap().permissions();
        permissions.set_mode(0o600);
        file.set_permissions(permissions.clone()).unwrap();
        permissions.set_mode(0o400);
        fs::set_permissions(&path, permissions).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o400);
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
    });
}

#[test]
fn locks_exclude_and_a_cancelled_wait_leaves_none() {
    sylvan::run(|| {
        let folder = Folder::new();
        let one = File::create_new(folder.path("a")).unwrap();
        let other = File::open(folder.path("a")).unwrap();
        one.lock_shared().unwrap();
        other.try_lock_shared().unwrap();
        other.unlock().unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        one.lock().unwrap();
        assert!(timeout(Duration::from_millis(20), || other.lock()).is_err());
        let waiter = thread::spawn(move || {
            other.lock().unwrap();
            other
        });
        thread::yield_now();
        assert!(!waiter.is_finished());
        one.unlock().unwrap();
        let other = waiter.join().unwrap();
        assert!(matches!(
            one.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        ));
        drop(other);
        one.try_lock().unwrap();
    });
}

#[test]
fn files_come_from_descriptors_and_become_some() {
    everywhere(|folder| {
        std::fs::write(folder.path("a"), "text").unwrap();
        let std = std::fs::File::open(folder.path("a")).unwrap();
        let file = File::from(std);
        let raw = OwnedFd::from(file).into_raw_fd();
        // SAFETY: nobody else has it.
        let mut file = unsafe { File::from_raw_fd(raw) };
        assert_eq!(file.as_raw_fd(), file.as_fd().as_raw_fd());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(format!("{file:?}").contains("File"));
        let _: std::fs::File = file.into();
        let input = File::open(folder.path("a")).unwrap();
        let output = sylvan::process::Command::new("cat")
            .stdin(input)
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"text");
    });
}

// ---- folders and paths

#[test]
fn folders_are_made_listed_and_removed() {
    everywhere(|folder| {
        fs::create_dir(folder.path("one")).unwrap();
        fs::create_dir_all(folder.path("two/three")).unwrap();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.path("four/five"))
            .unwrap();
        assert_eq!(
            fs::metadata(folder.path("four/five")).unwrap().mode() & 0o777,
            0o700
        );
        let error = DirBuilder::new()
            .create(folder.path("six/seven"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for number in 0..600 {
            std::fs::write(folder.path(&format!("one/{number}")), "x").unwrap();
        }
        let entries = fs::read_dir(folder.path("one")).unwrap();
        assert!(format!("{entries:?}").contains("one"));
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.unwrap();
            assert!(entry.file_type().unwrap().is_file());
            assert_eq!(entry.metadata().unwrap().len(), 1);
            assert_eq!(entry.metadata().unwrap().ino(), entry.ino());
            assert_eq!(entry.path(), folder.path("one").join(entry.file_name()));
            names.push(entry.file_name().to_str().unwrap().parse::<u32>().unwrap());
        }
        names.sort_unstable();
        assert_eq!(names, (0..600).collect::<Vec<_>>());
        assert!(
            fs::remove_dir(folder.path("one")).is_err(),
            "it is not empty"
        );
        fs::remove_dir_all(folder.path("one")).unwrap();
        fs::remove_dir(folder.path("two/three")).unwrap();
        assert!(!fs::exists(folder.path("two/three")).unwrap());
        assert!(fs::exists(folder.path("two")).unwrap());
        assert!(fs::read_dir(folder.path("one")).is_err());
    });
}

#[test]
fn paths_lead_where_they_should() {
    everywhere(|folder| {
        fs::write(folder.path("a"), "text").unwrap();
        symlink("a", folder.path("link")).unwrap();
        symlink("nothing", folder.path("dangling")).unwrap();
        assert_eq!(fs::read_link(folder.path("link")).unwrap(), Path::new("a"));
        assert!(
            fs::symlink_metadata(folder.path("link"))
                .unwrap()
                .is_symlink()
        );
        assert!(fs::metadata(folder.path("link")).unwrap().is_file());
        assert!(!fs::exists(folder.path("dangling")).unwrap());
        let whole = fs::canonicalize(folder.path("./link")).unwrap();
        assert_eq!(whole, std::fs::canonicalize(folder.path("a")).unwrap());
        fs::hard_link(folder.path("a"), folder.path("b")).unwrap();
        assert_eq!(fs::metadata(folder.path("b")).unwrap().nlink(), 2);
        #[allow(deprecated)]
        fs::soft_link("a", folder.path("soft")).unwrap();
        assert_eq!(fs::read(folder.path("soft")).unwrap(), b"text");
        fs::rename(folder.path("a"), folder.path("c")).unwrap();
        assert_eq!(
            fs::read(folder.path("a")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::remove_file(folder.path("b")).unwrap();
        assert_eq!(fs::metadata(folder.path("c")).unwrap().nlink(), 1);
        let exists = fs::exists(folder.path("c/below"));
        let std = std::fs::exists(folder.path("c/below"));
        assert_eq!(exists.map_err(|it| it.kind()), std.map_err(|it| it.kind()));
    });
}

#[test]
fn what_unix_adds_is_there() {
    everywhere(|folder| {
        use sylvan::os::unix::fs::{chown, fchown, lchown};
        fs::write(folder.path("a"), "").unwrap();
        let metadata = fs::metadata(folder.path("a")).unwrap();
        let (uid, gid) = (Some(metadata.uid()), Some(metadata.gid()));
        chown(folder.path("a"), uid, gid).unwrap();
        lchown(folder.path("a"), uid, None).unwrap();
        fchown(File::open(folder.path("a")).unwrap(), None, gid).unwrap();
        let _: fn(PathBuf) -> io::Result<()> = sylvan::os::unix::fs::chroot;
    });
}

#[test]
fn text_that_is_none_is_told_as_std_does() {
    everywhere(|folder| {
        fs::write(folder.path("a"), [0xff]).unwrap();
        let ours = fs::read_to_string(folder.path("a")).unwrap_err();
        let std = std::fs::read_to_string(folder.path("a")).unwrap_err();
        assert_eq!(
            (ours.kind(), ours.to_string()),
            (std.kind(), std.to_string())
        );
        let mut text = "kept".to_owned();
        assert!(
            File::open(folder.path("a"))
                .unwrap()
                .read_to_string(&mut text)
                .is_err()
        );
        assert_eq!(text, "kept");
    });
}

// ---- what waits

/// Does `work` in a green thread, and tells the longest that a sleep of 10 ms took meanwhile.
fn ticker_beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (T, Duration) {
    sylvan::run(|| {
        let work = thread::spawn(work);
        let mut longest = Duration::ZERO;
        while !work.is_finished() {
            let begun = Instant::now();
            thread::sleep(Duration::from_millis(10));
            longest = longest.max(begun.elapsed());
        }
        (work.join().unwrap(), longest)
    })
}

/// Ten milliseconds, and what a busy machine may add.
const GENEROUS: Duration = Duration::from_millis(250);

#[test]
fn a_ticker_goes_on_beside_a_named_pipe() {
    let folder = Folder::new();
    fifo(&folder.path("pipe"));
    let (reader, writer) = (folder.path("pipe"), folder.path("pipe"));
    let slow = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        let mut pipe = std::fs::File::create(writer).unwrap();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(30));
            pipe.write_all(b"drop").unwrap();
        }
    });
    let (text, longest) = ticker_beside(move || fs::read_to_string(reader).unwrap());
    slow.join().unwrap();
    assert_eq!(text, "drop".repeat(5));
    assert!(longest < GENEROUS, "{longest:?}");
}

#[test]
fn a_ticker_goes_on_beside_a_slow_disk() {
    // As a network file system that answers late.
    let slow_read = || {
        for _ in 0..5 {
            offload(|| std::thread::sleep(Duration::from_millis(50)));
        }
    };
    let ((), longest) = ticker_beside(slow_read);
    assert!(longest < GENEROUS, "{longest:?}");
}

#[test]
fn a_ticker_goes_on_beside_two_gigabytes() {
    let folder = Folder::new();
    let path = folder.path("large");
    // With holes: they are read as zeroes, and take no room.
    std::fs::File::create(&path)
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let (total, longest) = ticker_beside(move || {
        let mut file = File::open(&path).unwrap();
        let mut buffer = vec![1; 1 << 20];
        let mut total = 0_u64;
        loop {
            let count = file.read(&mut buffer).unwrap();
            if count == 0 {
                break total;
            }
            assert!(buffer[..count].iter().step_by(4096).all(|byte| *byte == 0));
            total += count as u64;
        }
    });
    assert_eq!(total, 2 << 30);
    assert!(longest < GENEROUS, "{longest:?}");
}

#[test]
fn a_ticker_goes_on_beside_proc() {
    let (length, longest) = ticker_beside(|| {
        let files = [
            "/proc/self/maps",
            "/proc/self/status",
            "/proc/meminfo",
            "/proc/self/mounts",
        ];
        let read = |path: &&str| fs::read(path).unwrap().len();
        (0..20)
            .map(|_| files.iter().map(read).sum::<usize>())
            .sum::<usize>()
    });
    assert!(length > 10_000);
    assert!(longest < GENEROUS, "{longest:?}");
}

#[test]
fn a_ticker_goes_on_beside_a_terminal() {
    // SAFETY: the calls take numbers and return a descriptor, which nobody else has, or a name that is read at once.
    let (master, name) = unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        let mut name = [0; 64];
        assert_eq!(libc::ptsname_r(master, name.as_mut_ptr(), name.len()), 0);
        let name = std::ffi::CStr::from_ptr(name.as_ptr())
            .to_str()
            .unwrap()
            .to_owned();
        (std::fs::File::from_raw_fd(master), name)
    };
    let (line, longest) = ticker_beside(move || {
        let mut options = OpenOptions::new();
        let terminal = options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(name);
        let mut terminal = terminal.unwrap();
        // Somebody types, after a while, and ends the line after another.
        let typist = std::thread::spawn(move || {
            for part in ["he", "llo", "\n"] {
                std::thread::sleep(Duration::from_millis(60));
                (&master).write_all(part.as_bytes()).unwrap();
            }
            master
        });
        assert_eq!(terminal.read(&mut []).unwrap(), 0, "that needs no typist");
        let mut line = [0; 64];
        let count = terminal.read(&mut line).unwrap();
        terminal.write_all(b"answer").unwrap();
        drop(typist.join().unwrap());
        String::from_utf8(line[..count].to_vec()).unwrap()
    });
    assert_eq!(line, "hello\n");
    assert!(longest < GENEROUS, "{longest:?}");
}

#[test]
fn whoever_opens_a_named_pipe_waits_for_the_other_end() {
    sylvan::run(|| {
        let folder = Folder::new();
        fifo(&folder.path("pipe"));
        let path = folder.path("pipe");
        let reader = thread::spawn(move || File::open(path).unwrap());
        while reader.state() != State::Waiting(Reason::Offload) {
            thread::yield_now();
        }
        let mut writer = OpenOptions::new()
            .write(true)
            .open(folder.path("pipe"))
            .unwrap();
        let mut reader = reader.join().unwrap();
        writer.write_all(b"!").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
        assert!(timeout(Duration::from_millis(10), || reader.read(&mut [0])).is_err());
        // Full, it waits until there is room.
        let full = thread::spawn(move || writer.write_all(&[7; 200_000]));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        full.join().unwrap().unwrap();
        assert_eq!(bytes.len(), 200_000);
        drop(reader);
    });
}

#[test]
fn devices_are_read_and_written() {
    everywhere(|_| {
        let mut zero = File::open("/dev/zero").unwrap();
        let mut bytes = [1; 100];
        zero.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0; 100]);
        let mut null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        null.write_all(&bytes).unwrap();
        assert_eq!(null.read(&mut bytes).unwrap(), 0);
        assert_eq!(fs::read("/dev/null").unwrap(), b"");
    });
}

#[test]
fn many_readers_of_files_that_are_not_cached_are_served_at_once() {
    must_end(|| {
        sylvan::run(|| {
            let folder = Folder::new();
            for number in 0..50 {
                let path = folder.path(&number.to_string());
                std::fs::write(&path, number.to_string().repeat(3000)).unwrap();
                forget(&path);
            }
            thread::scope(|scope| {
                for number in 0..50 {
                    let path = folder.path(&number.to_string());
                    scope.spawn(move || {
                        let text = fs::read_to_string(path).unwrap();
                        assert_eq!(text, number.to_string().repeat(3000));
                    });
                }
            });
        });
    });
}

// ---- errors

#[test]
fn a_full_disk_is_told_and_nothing_before_it_is_lost() {
    everywhere(|_| {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(
            full.write_all(b"x").unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        assert_eq!(
            fs::write("/dev/full", "x").unwrap_err().kind(),
            ErrorKind::StorageFull
        );
    });
    if !is_child() {
        let test = "a_full_disk_is_told_and_nothing_before_it_is_lost";
        return assert_success(&in_child(test, &[]));
    }
    // A limit on the size of files ends like a disk that is full, in the midst of a write.
    let limit = libc::rlimit {
        rlim_cur: 1_500_000,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the record is valid; the signal of it is ignored, so that it is an error.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
    sylvan::run(|| {
        let folder = Folder::new();
        let error = fs::write(folder.path("a"), vec![7; 4_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(fs::read(folder.path("a")).unwrap() == vec![7; 1_500_000]);
    });
}

#[test]
fn errors_are_std_s() {
    everywhere(|folder| {
        let same = |ours: Option<io::Error>, std: Option<io::Error>, what: &str| {
            let (ours, std) = (ours.unwrap(), std.unwrap());
            assert_eq!(
                (ours.kind(), ours.raw_os_error()),
                (std.kind(), std.raw_os_error()),
                "{what}"
            );
        };
        fs::write(folder.path("file"), "").unwrap();
        for path in [
            folder.path("none"),
            folder.path("file/below"),
            folder.path(&"x".repeat(300)),
            PathBuf::from("zero\0inside"),
            PathBuf::new(),
        ] {
            let what = format!("{path:?}");
            same(fs::read(&path).err(), std::fs::read(&path).err(), &what);
            same(
                fs::metadata(&path).err(),
                std::fs::metadata(&path).err(),
                &what,
            );
            same(
                fs::symlink_metadata(&path).err(),
                std::fs::symlink_metadata(&path).err(),
                &what,
            );
            same(
                fs::read_dir(&path).err(),
                std::fs::read_dir(&path).err(),
                &what,
            );
            same(
                fs::remove_file(&path).err(),
                std::fs::remove_file(&path).err(),
                &what,
            );
        }
        same(
            fs::read(&folder.0).err(),
            std::fs::read(&folder.0).err(),
            "a folder",
        );
        same(
            File::create(&folder.0).err(),
            std::fs::File::create(&folder.0).err(),
            "a folder",
        );
        same(
            File::create_new(folder.path("file")).err(),
            std::fs::File::create_new(folder.path("file")).err(),
            "it exists",
        );
    });
}

#[test]
fn whoever_may_not_is_told() {
    if !is_child() {
        return assert_success(&in_child("whoever_may_not_is_told", &[]));
    }
    let folder = Folder::new();
    std::fs::write(folder.path("secret"), "x").unwrap();
    std::fs::set_permissions(folder.path("secret"), PermissionsExt::from_mode(0o000)).unwrap();
    // SAFETY: they take numbers. Whoever is not root is nobody special already.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::seteuid(65534), 0);
        }
    }
    sylvan::run(|| {
        let denied = fs::read(folder.path("secret")).unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        let denied = File::create("/sylvan-test-file").unwrap_err();
        assert!(
            [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem].contains(&denied.kind())
        );
    });
    // SAFETY: as above; who was not root is refused, and needs it not.
    unsafe { libc::seteuid(0) };
}

#[test]
fn without_descriptors_it_fails_as_std_does() {
    if !is_child() {
        return assert_success(&in_child("without_descriptors_it_fails_as_std_does", &[]));
    }
    sylvan::run(|| {
        let folder = Folder::new();
        fs::write(folder.path("a"), "text").unwrap();
        let kept = File::open(folder.path("a")).unwrap();
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        for error in [
            fs::read(folder.path("a")).err(),
            File::create(folder.path("b")).err(),
            fs::read_dir(&folder.0).err(),
            kept.try_clone().err(),
        ] {
            assert_eq!(error.unwrap().raw_os_error(), Some(libc::EMFILE));
        }
        assert!(fs::metadata(folder.path("a")).unwrap().is_file());
        let mut bytes = [0; 4];
        kept.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"text");
        drop(held);
        assert_eq!(fs::read(folder.path("a")).unwrap(), b"text");
    });
}

// ---- as std's

/// The same lines with std's types and with ours: what compiles with the one compiles with the other.
macro_rules! complete {
    ($name:ident, $fs:path, $ext:path) => {
        #[test]
        fn $name() {
            use $ext::{
                DirBuilderExt as _, DirEntryExt as _, FileExt as _, FileTypeExt as _,
                MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
            };
            use $fs::{
                self as fs, DirBuilder, DirEntry, File, FileTimes, FileType, Metadata, OpenOptions,
                Permissions, ReadDir, TryLockError,
            };
            fn is_a_file<T>()
            where
                T: Read + Write + Seek + std::fmt::Debug + Send + Sync + AsFd + AsRawFd + IntoRawFd,
                T: FromRawFd + From<OwnedFd> + Into<OwnedFd> + Into<std::process::Stdio>,
                for<'a> &'a T: Read + Write + Seek,
            {
            }
            is_a_file::<File>();
            let folder = Folder::new();
            let path = folder.path("file");
            fs::write(&path, "content").unwrap();
            let file: File = File::options().read(true).open(&path).unwrap();
            let metadata: Metadata = file.metadata().unwrap();
            let kind: FileType = metadata.file_type();
            assert!(kind.is_file() && !kind.is_fifo() && metadata.size() == 7);
            let permissions: Permissions = metadata.permissions();
            let _: u32 = permissions.mode();
            let mut bytes = [0; 7];
            file.read_exact_at(&mut bytes, 0).unwrap();
            let locked: Result<(), TryLockError> = file.try_lock();
            locked.unwrap();
            let mut options: OpenOptions = OpenOptions::new();
            let file = options
                .write(true)
                .create(true)
                .mode(0o600)
                .open(folder.path("b"))
                .unwrap();
            file.set_times(FileTimes::new()).unwrap();
            DirBuilder::new()
                .mode(0o700)
                .create(folder.path("c"))
                .unwrap();
            symlink("file", folder.path("link")).unwrap();
            let mut entries: ReadDir = fs::read_dir(&folder.0).unwrap();
            let entry: DirEntry = entries.next().unwrap().unwrap();
            assert!(entry.ino() > 0 && format!("{entry:?}").contains("DirEntry"));
            assert_eq!(entries.filter_map(Result::ok).count(), 3);
            let _: u64 = fs::copy(&path, folder.path("d")).unwrap();
            let _: PathBuf = fs::canonicalize(&path).unwrap();
            let _: bool = fs::exists(&path).unwrap();
            let _: String = fs::read_to_string(&path).unwrap();
            fs::set_permissions(&path, permissions).unwrap();
            fs::remove_dir_all(&folder.0).unwrap();
        }
    };
}

complete!(complete_with_std, std::fs, std::os::unix::fs);
complete!(complete_with_ours, sylvan::fs, sylvan::os::unix::fs);
