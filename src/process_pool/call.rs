//! A call that another process of the same program makes: which function, and how its argument and its result
//! travel.
//!
//! A function is named by two places in the program's image (`sys/image.rs`): its own, and that of the *trampoline*
//! for its types, which turns bytes into the argument and the result into bytes. Only functions that capture nothing
//! have a place: that is why jobs are `fn` pointers, and not closures in general.

use std::mem;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::JobError;
use crate::rt::Image;

/// See the module's text. It means something only to processes that share a build, which the handshake makes sure of.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Debug)]
pub(super) struct Call {
    trampoline: u64,
    function: u64,
}

/// Reads the argument, calls the function, appends the result. An error: one of these could not be read or written.
type Trampoline = fn(Code, &[u8], &mut Vec<u8>) -> Result<(), String>;

/// The place of a function.
#[derive(Clone, Copy)]
struct Code(*const ());

/// A call whose places were looked up in this process.
#[derive(Clone, Copy)]
pub(super) struct Callee {
    trampoline: Trampoline,
    function: Code,
}

// SAFETY: the place of a function, which is there for all threads.
unsafe impl Send for Code {}

impl Call {
    /// Of a function with one argument.
    pub(super) fn one<A: DeserializeOwned, R: Serialize>(
        function: fn(A) -> R,
    ) -> Result<Call, JobError> {
        Call::new(one::<A, R>, function as *const ())
    }

    /// Of a function with two arguments, which travel as a pair.
    pub(super) fn two<A: DeserializeOwned, B: DeserializeOwned, R: Serialize>(
        function: fn(A, B) -> R,
    ) -> Result<Call, JobError> {
        Call::new(two::<A, B, R>, function as *const ())
    }

    fn new(trampoline: Trampoline, function: *const ()) -> Result<Call, JobError> {
        let place = |code| Image::own().and_then(|image| image.offset_of(code));
        let call = place(trampoline as *const ()).zip(place(function));
        let (trampoline, function) = call.ok_or_else(|| {
            JobError::Unserialisable("the function is not in the program's own image".to_owned())
        })?;
        Ok(Call {
            trampoline,
            function,
        })
    }

    /// Looks the places up; `None`: one of them is not in the program's code.
    pub(super) fn find(self) -> Option<Callee> {
        let image = Image::own()?;
        let trampoline = image.code_at(self.trampoline)?;
        let function = Code(image.code_at(self.function)?);
        // SAFETY: a `Call` is made by `new` alone, in a process of the same build, as the handshake has shown: it took
        // this place from a `Trampoline`. It came over a socket that only the process which started this one has.
        let trampoline = unsafe { mem::transmute::<*const (), Trampoline>(trampoline) };
        Some(Callee {
            trampoline,
            function,
        })
    }
}

impl Callee {
    /// Makes the call, in this process, and appends its result. An error: the argument or the result cannot travel;
    /// then, and if it panics, a part of the result may have been appended.
    pub(super) fn call(self, input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
        (self.trampoline)(self.function, input, output)
    }
}

fn one<A: DeserializeOwned, R: Serialize>(
    function: Code,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), String> {
    // SAFETY: `Call::one` names this trampoline together with a function of this type only.
    let function = unsafe { mem::transmute::<*const (), fn(A) -> R>(function.0) };
    let result = function(decode(input)?);
    append(&result, output)
}

fn two<A: DeserializeOwned, B: DeserializeOwned, R: Serialize>(
    function: Code,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), String> {
    // SAFETY: `Call::two` names this trampoline together with a function of this type only.
    let function = unsafe { mem::transmute::<*const (), fn(A, B) -> R>(function.0) };
    let (first, second) = decode(input)?;
    let result = function(first, second);
    append(&result, output)
}

/// A value as bytes.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    append(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends a value as bytes; perhaps a part of it, in case of an error.
pub(super) fn append<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    let written = postcard::to_extend(value, Appending(bytes));
    written.map_err(|error| format!("{}: {error}", std::any::type_name::<T>()))?;
    Ok(())
}

/// Extends a vector that is somebody else's.
struct Appending<'a>(&'a mut Vec<u8>);

impl Extend<u8> for Appending<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

/// A value of bytes, all of them.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(format!(
            "{}: there are more bytes than it has",
            std::any::type_name::<T>()
        )),
        Err(error) => Err(format!("{}: {error}", std::any::type_name::<T>())),
    }
}

/// A value at the beginning of `bytes`, which are then what follows it.
pub(super) fn decode_head<T: DeserializeOwned>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_comes_back_from_its_places() {
        let call = Call::one(|word: String| word.len() as u64).unwrap();
        let travelled: Call = decode(&encode(&call).unwrap()).unwrap();
        let mut result = Vec::new();
        let callee = travelled.find().unwrap();
        callee.call(&encode("four").unwrap(), &mut result).unwrap();
        assert_eq!(decode::<u64>(&result), Ok(4));

        let call = Call::two(|a: u8, b: u8| a - b).unwrap();
        let mut result = Vec::new();
        let callee = call.find().unwrap();
        callee
            .call(&encode(&(7_u8, 2_u8)).unwrap(), &mut result)
            .unwrap();
        assert_eq!(decode::<u8>(&result), Ok(5));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let callee = Call::one(|word: String| word).unwrap().find().unwrap();
        let error = |input: &[u8]| callee.call(input, &mut Vec::new()).unwrap_err();
        assert!(error(&[9, b'a']).contains("String"));
        assert!(error(&[1, b'a', b'b']).contains("more bytes"));
    }

    #[test]
    fn places_outside_of_the_code_are_refused() {
        let good = Call::one(|(): ()| ()).unwrap();
        for place in [u64::MAX, 1 << 62] {
            for call in [
                Call {
                    trampoline: place,
                    ..good
                },
                Call {
                    function: place,
                    ..good
                },
            ] {
                assert!(call.find().is_none());
            }
        }
    }
}
