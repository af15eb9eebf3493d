//! Where the program's own code lies: what makes a function of one process one of another process of the same
//! program.
//!
//! The two are loaded at different addresses, but what lies between a function and the first byte of the image is
//! the same in both. Functions of shared libraries are not of the image, and have no such number.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;
use std::{ptr, slice};

use libc::{dl_phdr_info, size_t};

/// The image of the running program.
pub(crate) struct Image {
    /// What is added to the addresses in the file.
    base: usize,
    /// The parts that can be executed.
    text: Vec<Range<usize>>,
    /// See [`identity`](Self::identity).
    identity: u64,
}

/// The type of what names a build in the notes of an ELF file (`NT_GNU_BUILD_ID`).
const BUILD_ID: u32 = 3;

impl Image {
    /// The one of this process. `None` if the loader does not tell.
    pub(crate) fn own() -> Option<&'static Image> {
        static OWN: OnceLock<Option<Image>> = OnceLock::new();
        OWN.get_or_init(|| {
            let mut found: Option<Image> = None;
            // SAFETY: the callback matches the type that is asked for, and its data is what it expects, for as
            // long as the call lasts.
            unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut found).cast()) };
            found.filter(|image| !image.text.is_empty())
        })
        .as_ref()
    }

    /// A number that two different builds do not share, but by chance: over the linker's build id, if there is one,
    /// and over what lies where.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// How far from the image's base this code lies; `None` if it is of another image.
    pub(crate) fn offset_of(&self, code: *const ()) -> Option<u64> {
        let address = code.addr();
        let inside = self.text.iter().any(|part| part.contains(&address));
        inside.then(|| address.wrapping_sub(self.base) as u64)
    }

    /// The code that lies this far from the image's base; `None` if there is none.
    pub(crate) fn code_at(&self, offset: u64) -> Option<*const ()> {
        let address = self.base.wrapping_add(usize::try_from(offset).ok()?);
        let inside = self.text.iter().any(|part| part.contains(&address));
        inside.then(|| ptr::with_exposed_provenance(address))
    }
}

/// Reads the first image that the loader names, which is the program, and ends the search.
unsafe extern "C" fn look(info: *mut dl_phdr_info, _size: size_t, found: *mut c_void) -> c_int {
    // SAFETY: the loader gives a valid record, and `own` its own variable.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Option<Image>>()) };
    if info.dlpi_phdr.is_null() {
        return 1;
    }
    // SAFETY: the record names that many program headers.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let mut image = Image {
        base: info.dlpi_addr as usize,
        text: Vec::new(),
        identity: 0xcbf2_9ce4_8422_2325,
    };
    for header in headers {
        let start = image.base.wrapping_add(header.p_vaddr as usize);
        let length = header.p_memsz as usize;
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
            image.text.push(start..start.saturating_add(length));
        }
        for number in [header.p_vaddr, header.p_memsz, header.p_flags.into()] {
            image.digest(&number.to_le_bytes());
        }
        if header.p_type == libc::PT_NOTE {
            // SAFETY: notes are part of what is loaded, readable, and stay.
            let notes =
                unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(start), length) };
            if let Some(id) = build_id(notes, header.p_align as usize) {
                image.digest(id);
            }
        }
    }
    *found = Some(image);
    1
}

impl Image {
    /// FNV-1a, of 64 bits.
    fn digest(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.identity = (self.identity ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The build id among these notes. Each is three numbers, a name and a description, padded to `align`.
fn build_id(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    let align = if align == 8 { 8 } else { 4 };
    let number = |bytes: &[u8], at: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + size_of::<u32>())?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    loop {
        let name = number(notes, 0)? as usize;
        let length = number(notes, 4)? as usize;
        let kind = number(notes, 8)?;
        let start = (12 + name).next_multiple_of(align);
        let description = notes.get(start..start.checked_add(length)?)?;
        if kind == BUILD_ID && notes.get(12..12 + name)? == b"GNU\0" {
            return Some(description);
        }
        notes = notes.get(start + length.next_multiple_of(align)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_have_an_offset_and_come_back() {
        fn some() {}
        let image = Image::own().unwrap();
        let code = some as fn() as *const ();
        let offset = image.offset_of(code).unwrap();
        assert_eq!(image.code_at(offset), Some(code));
    }

    #[test]
    fn data_and_other_images_have_none() {
        static DATA: u8 = 0;
        let image = Image::own().unwrap();
        assert_eq!(image.offset_of((&raw const DATA).cast()), None);
        assert_eq!(image.offset_of(ptr::null()), None);
        assert_eq!(image.offset_of(libc::getpid as *const ()), None);
        assert_eq!(image.code_at(u64::MAX), None);
        assert_eq!(image.code_at(u64::MAX / 2), None);
    }

    #[test]
    fn cut_notes_are_no_build_id() {
        let mut notes = Vec::new();
        for number in [4_u32, 2, BUILD_ID] {
            notes.extend_from_slice(&number.to_ne_bytes());
        }
        notes.extend_from_slice(b"GNU\0\x12\x34\0\0");
        assert_eq!(build_id(&notes, 4), Some(&b"\x12\x34"[..]));
        for cut in 0..notes.len() - 2 {
            assert_eq!(build_id(&notes[..cut], 4), None, "{cut}");
        }
    }
}
