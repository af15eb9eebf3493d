//! Connections for ureq over sylvan's TCP streams.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::{fmt, io};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};

use super::connect::connect;
use crate::net::TcpStream;
use crate::time::{Duration, Instant};

/// Opens a TCP connection, unless a connector before it has made one.
#[derive(Debug)]
pub(super) struct GreenConnector;

impl<In: Transport> Connector<In> for GreenConnector {
    type Out = Either<In, GreenTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            return Ok(chained.map(Either::A));
        }
        let deadline = limit(details.timeout)?.map_or(Instant::NEVER, Instant::limit);
        let stream = connect(&details.addrs, deadline);
        let stream = stream.map_err(|error| timeout_or(error, details.timeout))?;
        let stream = Arc::new(Connection(stream));
        // An error: the agent was shut down meanwhile.
        (details.register_shutdown)(Arc::downgrade(&stream) as Weak<dyn ShutdownHandle>)?;
        if details.config.no_delay() {
            stream.0.set_nodelay(true)?;
        }
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(GreenTransport {
            stream,
            buffers: LazyBuffers::new(input, output),
        })))
    }
}

/// The agent knows it too, weakly, so that its `shutdown` can end what waits.
struct Connection(TcpStream);

impl ShutdownHandle for Connection {
    fn shutdown(&self) {
        // An error says that it is closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A connection, and the buffers ureq reads and writes.
pub(super) struct GreenTransport {
    stream: Arc<Connection>,
    buffers: LazyBuffers,
}

impl Transport for GreenTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let deadline = limit(timeout)?.map(Instant::limit);
        let mut stream = &self.stream.0;
        let mut output = &self.buffers.output()[..amount];
        while !output.is_empty() {
            let left = deadline.map(|deadline| deadline.duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::Timeout(timeout.reason));
            }
            stream.limit_writes(left);
            match stream.write(output) {
                Ok(0) => return Err(Error::Io(ErrorKind::WriteZero.into())),
                Ok(written) => output = &output[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timeout_or(error, timeout)),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let mut stream = &self.stream.0;
        stream.limit_reads(limit(timeout)?);
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match stream.read(input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| timeout_or(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// ureq asks this under the lock of its pool: it must not suspend, and it does not.
    fn is_open(&mut self) -> bool {
        self.stream.0.is_open_and_silent()
    }
}

impl fmt::Debug for GreenTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenTransport")
            .field("stream", &self.stream.0)
            .finish()
    }
}

/// How long the call may wait. A time that is over already is an error: ureq would grant another
/// second to each call, and a server that trickles would hold a request for ever.
fn limit(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after {
        ureq::unversioned::transport::time::Duration::NotHappening => Ok(None),
        after if after.is_zero() => Err(Error::Timeout(timeout.reason)),
        after => Ok(Some(*after)),
    }
}

fn timeout_or(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
