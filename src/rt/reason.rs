//! Why a task waits: the names that a dump and a deadlock report show.

use std::fmt;

/// Names each reason once: the variant, and the words a dump shows for it.
macro_rules! reasons {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What a suspended green thread waits for.
        ///
        /// ```
        /// assert_eq!(sylvan::task::Reason::Sleep.to_string(), "sleep");
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $name] $variant),+
        }

        impl Reason {
            const ALL: &'static [Reason] = &[$(Reason::$variant),+];

            /// The reason's name in plain words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name),+
                }
            }
        }
    };
}

reasons! {
    Yield = "yield",
    Sleep = "sleep",
    Park = "park",
    Join = "join",
    Scope = "end of a scope",
    Nursery = "end of a nursery",
    Group = "end of a group",
    Mutex = "mutex",
    RwLockRead = "read lock",
    RwLockWrite = "write lock",
    Condvar = "condition variable",
    Barrier = "barrier",
    Once = "once initialisation",
    Semaphore = "semaphore",
    Receive = "channel receive",
    Send = "channel send",
    Accept = "accept",
    Connect = "connect",
    TcpRead = "tcp read",
    TcpWrite = "tcp write",
    UdpReceive = "udp receive",
    UdpSend = "udp send",
    UnixRead = "unix socket read",
    UnixWrite = "unix socket write",
    Readable = "readable",
    Writable = "writable",
    Lookup = "name lookup",
    Offload = "offloaded work",
    Signal = "signal",
    Future = "future",
    Runtime = "end of a runtime",
}

impl Reason {
    /// The reason stored as this number; `None` for a number no reason has.
    pub(crate) fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
