//! Reading and writing a connected socket, whichever its family is.

/// Implements `Read` and `Write`, and the kernel's ways of both, for `$ours` and for references to it. It has a field `io`, and waits for `$reads` and
/// `$writes`.
macro_rules! stream_traits {
    ($ours:ident, $reads:expr, $writes:expr) => {
        impl $crate::fd::Source for $ours {
            fn fill(&self) -> ::std::io::Result<$crate::fd::Transit> {
                self.io.fill($reads)
            }
        }

        impl $crate::fd::Sink for $ours {
            fn drain(&self, transit: &mut $crate::fd::Transit) -> ::std::io::Result<()> {
                self.io.drain($writes, transit)
            }
        }

        impl ::std::io::Read for $ours {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }

        impl ::std::io::Read for &$ours {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> ::std::io::Result<usize> {
                self.io
                    .read_stream($reads, buf.len(), |fd| $crate::fd::receive(fd, buf))
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                let count = bufs.len().min($crate::fd::MOST_BUFFERS);
                let bufs = &mut bufs[..count];
                let wanted = $crate::fd::total(bufs.iter().map(|buffer| buffer.len()));
                if wanted == 0 {
                    // As `readv`, which std uses, and other than `recvmsg`, which would wait.
                    return Ok(0);
                }
                self.io
                    .read_stream($reads, wanted, |fd| $crate::fd::receive_vectored(fd, bufs))
            }
        }

        impl ::std::io::Write for $ours {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(
                &mut self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> ::std::io::Result<()> {
                Ok(())
            }
        }

        impl ::std::io::Write for &$ours {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> ::std::io::Result<usize> {
                self.io
                    .write_stream($writes, buf.len(), |fd| $crate::fd::send(fd, buf))
            }

            fn write_vectored(
                &mut self,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                let bufs = &bufs[..bufs.len().min($crate::fd::MOST_BUFFERS)];
                let wanted = $crate::fd::total(bufs.iter().map(|buffer| buffer.len()));
                if wanted == 0 {
                    return Ok(0);
                }
                self.io
                    .write_stream($writes, wanted, |fd| $crate::fd::send_vectored(fd, bufs))
            }

            fn flush(&mut self) -> ::std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use stream_traits;

/// The sum of these, or as much as can be said.
pub(crate) fn total(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.fold(0, usize::saturating_add)
}
