//! The table of a function that tells the unwinder what to do with each call (the LSDA).
//!
//! A header, rows of calls, and chains of actions that the rows refer to. The layout is that of the Itanium C++ ABI's
//! exception handling, as GCC and LLVM write it.

/// What happens to an unwinding that comes out of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    /// It goes on, after a landing pad or without.
    Passes,
    /// It is caught.
    Catches,
    /// It ends the process.
    Aborts,
    /// There is none, for what is called does not unwind: it would end the process.
    Unlisted {
        /// The call is made where landing pads are.
        in_pad: bool,
    },
}

/// What the table at `table` says of the call at this offset in its function. `None`: it is not understood.
///
/// # Safety
///
/// A table of this kind is there.
pub(super) unsafe fn look_up(table: *const u8, call: usize) -> Option<Call> {
    let mut reader = Reader(table);
    let mut first_pad = usize::MAX;
    // SAFETY: by the caller's promise; each part is read as the parts before it say.
    unsafe {
        // Where landing pads are counted from, if not from the function's start.
        let base = reader.byte();
        if base != OMITTED {
            reader.number(base & FORMAT)?;
            first_pad = 0;
        }
        // The table of types, which says nothing here.
        if reader.byte() != OMITTED {
            reader.unsigned()?;
        }
        let format = reader.byte();
        let length = usize::try_from(reader.unsigned()?).ok()?;
        let actions = reader.0.wrapping_add(length);
        while reader.0 < actions {
            let start = reader.offset(format)?;
            let length = reader.offset(format)?;
            let pad = reader.offset(format)?;
            let action = usize::try_from(reader.unsigned()?).ok()?;
            if call >= start && call - start < length {
                return match (pad, action) {
                    (0, _) | (_, 0) => Some(Call::Passes),
                    _ => chain(actions.wrapping_add(action - 1)),
                };
            }
            if pad != 0 {
                first_pad = first_pad.min(pad);
            }
        }
    }
    Some(Call::Unlisted {
        in_pad: call >= first_pad,
    })
}

/// What a chain of actions does.
///
/// # Safety
///
/// One starts there.
unsafe fn chain(first: *const u8) -> Option<Call> {
    let mut reader = Reader(first);
    let mut call = Call::Passes;
    for _ in 0..LONGEST_CHAIN {
        // SAFETY: the first is there, by the caller's promise, and each leads to the next.
        let kind = unsafe { reader.signed()? };
        match kind {
            ..0 => return Some(Call::Aborts),
            0 => {}
            1.. => call = Call::Catches,
        }
        let from = reader.0;
        // SAFETY: as above.
        let distance = unsafe { reader.signed()? };
        if distance == 0 {
            return Some(call);
        }
        reader.0 = from.wrapping_offset(isize::try_from(distance).ok()?);
    }
    None
}

/// More actions than this are no chain.
const LONGEST_CHAIN: usize = 1000;

/// How a number is written: the low half of such a byte; the high half says what it is relative to.
const FORMAT: u8 = 0x0f;
/// In the place of such a byte: there is no number.
const OMITTED: u8 = 0xff;

/// Reads a table.
struct Reader(*const u8);

impl Reader {
    /// # Safety (of all functions here)
    ///
    /// Such a value lies where the reader stands.
    unsafe fn byte(&mut self) -> u8 {
        // SAFETY: by the caller's promise.
        unsafe { self.fixed::<u8>() }
    }

    unsafe fn fixed<T: Copy>(&mut self) -> T {
        // SAFETY: by the caller's promise; such values are not aligned.
        let value = unsafe { self.0.cast::<T>().read_unaligned() };
        self.0 = self.0.wrapping_add(size_of::<T>());
        value
    }

    /// A number that is relative to nothing.
    unsafe fn offset(&mut self, format: u8) -> Option<usize> {
        if format & !FORMAT != 0 {
            return None;
        }
        // SAFETY: by the caller's promise.
        unsafe { self.number(format) }
    }

    unsafe fn number(&mut self, format: u8) -> Option<usize> {
        // SAFETY: by the caller's promise.
        let number = unsafe {
            match format {
                0x00 => self.fixed::<usize>() as u64,
                0x01 => self.unsigned()?,
                0x02 => u64::from(self.fixed::<u16>()),
                0x03 => u64::from(self.fixed::<u32>()),
                0x04 => self.fixed::<u64>(),
                0x09 => u64::try_from(self.signed()?).ok()?,
                0x0a => u64::try_from(self.fixed::<i16>()).ok()?,
                0x0b => u64::try_from(self.fixed::<i32>()).ok()?,
                0x0c => u64::try_from(self.fixed::<i64>()).ok()?,
                _ => return None,
            }
        };
        usize::try_from(number).ok()
    }

    /// A number in seven bits a byte, the low ones first.
    unsafe fn unsigned(&mut self) -> Option<u64> {
        // SAFETY: by the caller's promise.
        let (value, _) = unsafe { self.sevens()? };
        Some(value)
    }

    /// As [`unsigned`](Self::unsigned), with a sign: the highest bit that is written.
    unsafe fn signed(&mut self) -> Option<i64> {
        // SAFETY: by the caller's promise.
        let (value, bits) = unsafe { self.sevens()? };
        let above = u64::BITS.saturating_sub(bits);
        Some((value << above).cast_signed() >> above)
    }

    /// The value, and how many bits were written.
    unsafe fn sevens(&mut self) -> Option<(u64, u32)> {
        let mut value = 0;
        let mut bits = 0;
        while bits < u64::BITS {
            // SAFETY: by the caller's promise: the byte before said that there is another.
            let byte = unsafe { self.byte() };
            value |= u64::from(byte & 0x7f) << bits;
            bits += 7;
            if byte & 0x80 == 0 {
                return Some((value, bits));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
