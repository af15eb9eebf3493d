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
    ReentrantMutex = "reentrant mutex",
    Event = "event",
    Promise = "promise",
    WaitGroup = "wait group",
    Receive = "channel receive",
    Send = "channel send",
    QueueGet = "queue get",
    QueuePut = "queue put",
    QueueJoin = "queue join",
    Select = "select",
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
    Child = "child process",
    Future = "future",
    Runtime = "end of a runtime",
}

impl Reason {
    /// The reason stored as this number; `None` for a number no reason has.
    pub(crate) fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL.get(usize::from(number)).copied()
    }

    /// Does the wake-up come from outside of the runtime: from the kernel, the clock, an OS thread that was
    /// asked? If not, it comes from another green thread, and without one that can run it never comes.
    #[inline]
    pub(super) fn is_from_outside(self) -> bool {
        match self {
            Reason::Yield
            | Reason::Park
            | Reason::Join
            | Reason::Scope
            | Reason::Nursery
            | Reason::Group
            | Reason::Mutex
            | Reason::RwLockRead
            | Reason::RwLockWrite
            | Reason::Condvar
            | Reason::Barrier
            | Reason::Once
            | Reason::Semaphore
            | Reason::ReentrantMutex
            | Reason::Event
            | Reason::Promise
            | Reason::WaitGroup
            | Reason::Receive
            | Reason::Send
            | Reason::QueueGet
            | Reason::QueuePut
            | Reason::QueueJoin
            | Reason::Select => false,
            // One that sleeps without an end does so on purpose.
            Reason::Sleep
            | Reason::Accept
            | Reason::Connect
            | Reason::TcpRead
            | Reason::TcpWrite
            | Reason::UdpReceive
            | Reason::UdpSend
            | Reason::UnixRead
            | Reason::UnixWrite
            | Reason::Readable
            | Reason::Writable
            | Reason::Lookup
            | Reason::Offload
            | Reason::Signal
            | Reason::Child
            // Wakers are made for others to call.
            | Reason::Future
            // `stop` may be called from anywhere.
            | Reason::Runtime => true,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
