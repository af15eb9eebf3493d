//! The conversions that every socket type has: to and from raw and owned descriptors, and std's type.

/// Implements them for `$ours`, which has `adopt($std) -> $ours`, `release($ours) -> $std` and a field `io`.
macro_rules! adopted_traits {
    ($ours:ident, $std:ty) => {
        impl From<$std> for $ours {
            /// Takes over std's socket with the mode and the time-outs that were set on it.
            fn from(socket: $std) -> Self {
                Self::adopt(socket)
            }
        }

        impl From<$ours> for $std {
            /// Gives the socket to std, in the mode that was set on it.
            fn from(socket: $ours) -> Self {
                socket.release()
            }
        }

        impl From<::std::os::fd::OwnedFd> for $ours {
            fn from(fd: ::std::os::fd::OwnedFd) -> Self {
                Self::adopt(fd.into())
            }
        }

        impl From<$ours> for ::std::os::fd::OwnedFd {
            fn from(socket: $ours) -> Self {
                socket.release().into()
            }
        }

        impl ::std::os::fd::FromRawFd for $ours {
            unsafe fn from_raw_fd(fd: ::std::os::fd::RawFd) -> Self {
                // SAFETY: the caller hands over an open descriptor that nobody else owns.
                Self::from(unsafe { ::std::os::fd::OwnedFd::from_raw_fd(fd) })
            }
        }

        impl ::std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                self.release().into_raw_fd()
            }
        }

        impl ::std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                self.io.get().as_raw_fd()
            }
        }

        impl ::std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.io.get().fmt(f)
            }
        }
    };
}

pub(crate) use adopted_traits;
