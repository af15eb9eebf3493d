//! The `redis` crate over any stream: it makes the commands and reads the answers, and a connection is what sends the ones
//! and waits for the others.

use std::io::{self, BufReader, Read, Write};

use redis::{ConnectionLike, Parser, RedisResult, Value};

pub struct Connection<S> {
    stream: BufReader<S>,
    parser: Parser,
    /// It broke in the midst of something: nobody knows what the next answer would belong to.
    is_broken: bool,
}

impl<S: Read + Write> Connection<S> {
    pub fn new(stream: S) -> Connection<S> {
        Connection {
            stream: BufReader::new(stream),
            parser: Parser::new(),
            is_broken: false,
        }
    }

    fn send(&mut self, commands: &[u8]) -> RedisResult<()> {
        if self.is_broken {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        // Until all answers are there: also who is cancelled meanwhile leaves a broken connection behind.
        self.is_broken = true;
        Ok(self.stream.get_mut().write_all(commands)?)
    }
}

impl<S: Read + Write> ConnectionLike for Connection<S> {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.send(command)?;
        let answer = self.parser.parse_value(&mut self.stream)?;
        self.is_broken = false;
        Ok(answer)
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.send(commands)?;
        let mut answers = Vec::with_capacity(count);
        for number in 0..offset + count {
            let answer = self.parser.parse_value(&mut self.stream)?;
            if number >= offset {
                answers.push(answer);
            }
        }
        self.is_broken = false;
        Ok(answers)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<String>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        !self.is_broken
    }
}
