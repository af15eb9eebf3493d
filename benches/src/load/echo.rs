//! Clients of an echo server: a number of connections on one OS thread and bare epoll. Each sends a
//! message, waits until it has come back, and sends the next, at once or after thinking for a while.
//! A hot connection keeps many messages under way instead.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use sylvan_benches::arguments::{Arguments, refuse};
use sylvan_benches::epoll::{EDGE, Epoll, Event, READ};
use sylvan_benches::histogram::Histogram;
use sylvan_benches::machine::{Memory, cpu_time_of};
use sylvan_benches::outcome::Outcome;
use sylvan_benches::program;

pub fn run(arguments: &Arguments) -> Outcome {
    let plan = Plan {
        size: arguments.number("size", 64),
        think: Duration::from_micros(arguments.number("think-us", 0)),
        warm_up: Duration::from_millis(arguments.number("warm-up-ms", 500)),
        span: Duration::from_millis(arguments.number("ms", 3000)),
        messages: arguments.number("messages", u64::MAX),
        server: arguments.number("pid", 0),
    };
    let load = connect(arguments, plan).and_then(Load::run);
    load.unwrap_or_else(|error| refuse(&format!("the server failed: {error}")))
}

struct Plan {
    /// Bytes in a message.
    size: usize,
    /// How long a client waits with its next message.
    think: Duration,
    /// What happens first is not counted,
    warm_up: Duration,
    /// and then this long is,
    span: Duration,
    /// or, without a warm-up, that many messages.
    messages: u64,
    /// The server's process, if its CPU time is to be told.
    server: i32,
}

struct Load {
    plan: Plan,
    epoll: Epoll,
    clients: Vec<Client>,
    thinking: VecDeque<(Instant, usize)>,
    sent: u64,
    returned: u64,
    hot_bytes: u64,
    latencies: Histogram,
}

struct Client {
    stream: TcpStream,
    /// When the message under way was sent.
    since: Instant,
    /// How many of its bytes have come back.
    back: usize,
    /// How many messages it keeps under way, if it is a hot one.
    hot: Option<usize>,
}

fn connect(arguments: &Arguments, plan: Plan) -> io::Result<Load> {
    let address = program::server_address(arguments);
    let epoll = Epoll::new()?;
    let hot: u64 = arguments.number("hot", 0);
    let under_way: usize = arguments.number("under-way", 256);
    let mut clients = Vec::new();
    for number in 0..arguments.number("connections", 100_u64) {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        epoll.add(&stream, READ | EDGE, number)?;
        clients.push(Client {
            stream,
            since: Instant::now(),
            back: 0,
            hot: (number < hot).then_some(under_way),
        });
    }
    Ok(Load {
        plan,
        epoll,
        clients,
        thinking: VecDeque::new(),
        sent: 0,
        returned: 0,
        hot_bytes: 0,
        latencies: Histogram::new(),
    })
}

impl Load {
    fn run(mut self) -> io::Result<Outcome> {
        let begun = Instant::now();
        let apart = self.plan.think / self.clients.len() as u32;
        for index in 0..self.clients.len() {
            match self.clients[index].hot {
                Some(under_way) => self.send_hot(index, under_way * self.plan.size)?,
                // Who thinks equally long would for ever send all at the same moment.
                None => self
                    .thinking
                    .push_back((begun + apart * index as u32, index)),
            }
        }
        let counted = self.plan.messages < u64::MAX;
        if !counted {
            self.go_on(self.plan.warm_up)?;
        }
        self.returned = 0;
        self.hot_bytes = 0;
        self.latencies = Histogram::new();
        let cpu = self.server_cpu();
        let begun = Instant::now();
        self.go_on(if counted {
            Duration::MAX
        } else {
            self.plan.span
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = self.server_cpu().saturating_sub(cpu);
        let outcome = self.outcome(seconds, cpu);
        self.drain()?;
        Ok(outcome)
    }

    fn server_cpu(&self) -> Duration {
        match self.plan.server {
            0 => Duration::ZERO,
            pid => cpu_time_of(pid).unwrap_or_default(),
        }
    }

    fn outcome(&self, seconds: f64, cpu: Duration) -> Outcome {
        let micros = |part| self.latencies.percentile(part) as f64 / 1e3;
        // A hot connection's messages cost the server as much as others'.
        let hot = self.hot_bytes / self.plan.size as u64;
        let messages = (self.returned + hot).max(1) as f64;
        let resident = Memory::of(&self.plan.server.to_string()).map_or(0, |it| it.resident);
        Outcome::new()
            .with("rate", messages / seconds)
            .with("hot_rate", hot as f64 / seconds)
            .with("messages", messages)
            .with("p50_us", micros(0.5))
            .with("p99_us", micros(0.99))
            .with("p999_us", micros(0.999))
            .with("cpu_us", cpu.as_secs_f64() * 1e6 / messages)
            .with("cpu_share", cpu.as_secs_f64() / seconds)
            .with("resident_kib", resident as f64 / 1024.0)
    }

    /// Sends and receives for so long, or until all messages have come back.
    fn go_on(&mut self, span: Duration) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < span && self.returned < self.plan.messages {
            self.turn(span.saturating_sub(begun.elapsed()))?;
            while let Some(&(due, index)) = self.thinking.front()
                && due <= Instant::now()
            {
                self.thinking.pop_front();
                self.send(index)?;
            }
        }
        Ok(())
    }

    /// Waits for something to come, and takes it.
    fn turn(&mut self, rest: Duration) -> io::Result<()> {
        let next = self.thinking.front().map_or(Duration::MAX, |(due, _)| {
            due.saturating_duration_since(Instant::now())
        });
        // Not for ever: a server that loses a message is to be noticed.
        let limit = rest.min(next).min(Duration::from_secs(10));
        let events: Vec<Event> = self.epoll.wait(Some(limit))?.collect();
        if events.is_empty() && limit == Duration::from_secs(10) {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                "nothing came back for 10 s",
            ));
        }
        for Event { token, .. } in events {
            self.receive(token as usize)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        // As large as what a hot connection has under way: one read takes all there is.
        let mut buffer = [0; 16 << 10];
        let client = &mut self.clients[index];
        let length = match client.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            length => length?,
        };
        if client.hot.is_some() {
            self.hot_bytes += length as u64;
            return self.send_hot(index, length);
        }
        client.back += length;
        if client.back < self.plan.size {
            return Ok(());
        }
        let now = Instant::now();
        self.latencies
            .record((now - client.since).as_nanos() as u64);
        self.returned += 1;
        if self.plan.think.is_zero() {
            self.send(index)
        } else {
            self.thinking.push_back((now + self.plan.think, index));
            Ok(())
        }
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        if self.sent >= self.plan.messages {
            return Ok(());
        }
        self.sent += 1;
        let client = &mut self.clients[index];
        client.back = 0;
        client.since = Instant::now();
        client.stream.write_all(&[b'x'; 4096][..self.plan.size])
    }

    /// Sends so many bytes more. They fit into the buffers from which as many have just come.
    fn send_hot(&mut self, index: usize, bytes: usize) -> io::Result<()> {
        self.clients[index].stream.write_all(&vec![b'x'; bytes])
    }

    /// Takes what is still under way, so that the server sees connections end that are at rest.
    fn drain(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut buffer = [0; 16 << 10];
        while begun.elapsed() < Duration::from_secs(1) {
            let events: Vec<Event> = self.epoll.wait(Some(Duration::from_millis(50)))?.collect();
            if events.is_empty() {
                break;
            }
            for Event { token, .. } in events {
                // Whatever it is: it was for nobody.
                let _ = self.clients[token as usize].stream.read(&mut buffer);
            }
        }
        Ok(())
    }
}
