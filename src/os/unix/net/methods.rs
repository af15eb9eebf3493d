//! What streams and datagram sockets have in common beside what they carry.

/// Implements it for `$ours`, which wraps `$std`, and whose `io` receives and sends.
macro_rules! socket_methods {
    ($ours:ident, $std:ty) => {
        impl $ours {
            /// Another handle on the same socket, with a descriptor of its own. Time-outs and non-blocking mode are the
            /// socket's, and so common to both.
            ///
            /// # Errors
            ///
            /// If the process has no descriptors left.
            pub fn try_clone(&self) -> ::std::io::Result<$ours> {
                let duplicate = self.io.get().try_clone()?;
                let io = self.io.share(duplicate);
                Ok($ours { io })
            }

            /// The address of this end.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn local_addr(&self) -> ::std::io::Result<::std::os::unix::net::SocketAddr> {
                self.io.get().local_addr()
            }

            /// The address of the other end.
            ///
            /// # Errors
            ///
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) if there is none.
            pub fn peer_addr(&self) -> ::std::io::Result<::std::os::unix::net::SocketAddr> {
                self.io.get().peer_addr()
            }

            /// Limits how long it waits for what comes; `None` is no limit. When the time is over the call returns
            /// `WouldBlock`, as std's does.
            ///
            /// ```
            /// use std::time::Duration;
            /// use sylvan::io::ErrorKind;
            /// use sylvan::os::unix::net::UnixDatagram;
            ///
            /// let (one, _other) = UnixDatagram::pair()?;
            /// one.set_read_timeout(Some(Duration::from_millis(10)))?;
            /// assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            /// # std::io::Result::Ok(())
            /// ```
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the limit is zero.
            pub fn set_read_timeout(
                &self,
                timeout: Option<::std::time::Duration>,
            ) -> ::std::io::Result<()> {
                self.io.get().set_read_timeout(timeout)?;
                self.io.set_read_timeout(timeout);
                Ok(())
            }

            /// Limits how long it waits for room to send, as [`set_read_timeout`](Self::set_read_timeout) does for what
            /// comes.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the limit is zero.
            pub fn set_write_timeout(
                &self,
                timeout: Option<::std::time::Duration>,
            ) -> ::std::io::Result<()> {
                self.io.get().set_write_timeout(timeout)?;
                self.io.set_write_timeout(timeout);
                Ok(())
            }

            /// The limit set by [`set_read_timeout`](Self::set_read_timeout), rounded by the kernel to its ticks.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn read_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                self.io.get().read_timeout()
            }

            /// The limit set by [`set_write_timeout`](Self::set_write_timeout), rounded by the kernel to its ticks.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn write_timeout(&self) -> ::std::io::Result<Option<::std::time::Duration>> {
                self.io.get().write_timeout()
            }

            /// Makes the calls that would wait return `WouldBlock` instead, or wait again.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn set_nonblocking(&self, nonblocking: bool) -> ::std::io::Result<()> {
                self.io.set_nonblocking(nonblocking)
            }

            /// Takes the error that is pending on the socket, if there is one.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
                self.io.get().take_error()
            }

            /// Shuts one direction down, or both; whoever waits there, on any clone, wakes up.
            ///
            /// # Errors
            ///
            /// What the system call gives.
            pub fn shutdown(&self, how: ::std::net::Shutdown) -> ::std::io::Result<()> {
                self.io.get().shutdown(how)
            }

            pub(super) fn adopt(socket: $std) -> $ours {
                let io = $crate::fd::Handle::adopt(socket);
                $ours { io }
            }

            fn release(self) -> $std {
                self.io.into_inner()
            }
        }
    };
}

pub(super) use socket_methods;
