//! Small files in a folder of their own, which the kernel has in its caches.

use std::path::PathBuf;
use std::{env, fs, process};

/// It is removed when this is dropped.
pub struct SmallFiles {
    folder: PathBuf,
    count: usize,
}

/// From empty to two pages.
const SIZES: [usize; 5] = [0, 100, 1000, 4096, 8000];

impl SmallFiles {
    /// Makes so many, and reads each once.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    #[must_use]
    pub fn new(count: usize) -> SmallFiles {
        let folder = env::temp_dir().join(format!("sylvan-bench-files-{}", process::id()));
        let files = SmallFiles { folder, count };
        fs::create_dir(&files.folder).expect("a folder for files to read");
        for number in 0..count {
            let path = files.path(number);
            fs::write(&path, vec![b'x'; files.size(number)]).expect("a file to read");
            fs::read(path).expect("the file to read");
        }
        files
    }

    /// Where this one lies.
    #[must_use]
    pub fn path(&self, number: usize) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self, number: usize) -> usize {
        SIZES[number % SIZES.len()]
    }

    /// Those that one of so many tasks is to read, so that each is read by one.
    pub fn share(&self, task: usize, tasks: usize) -> impl Iterator<Item = usize> + use<> {
        (task..self.count).step_by(tasks)
    }
}

impl Drop for SmallFiles {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans up temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
