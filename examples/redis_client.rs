//! Redis from many green threads: the commands and answers are the `redis` crate's, the connections are sylvan's.
//!
//! Run it beside a Redis server: `cargo run --example redis_client [ADDRESS]`. Ten green threads, each with a connection
//! of its own, count one number up together.

use std::process::ExitCode;

use redis::{Commands, RedisResult};
use sylvan::net::TcpStream;
use sylvan::thread;

#[path = "support/redis.rs"]
mod connection;

use connection::Connection;

const CLIENTS: u32 = 10;
const EACH: u32 = 100;

fn main() -> ExitCode {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    match sylvan::run(|| count(&address)) {
        Ok(total) => {
            println!("{CLIENTS} clients counted to {total}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("redis_client: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(address: &str) -> RedisResult<u32> {
    let key = format!("sylvan-example-{}", std::process::id());
    let mut own = connect(address)?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| count_up(address, &key)))
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().expect("it does not panic"))
    })?;
    let total = own.get(&key)?;
    let _: () = own.del(&key)?;
    Ok(total)
}

fn count_up(address: &str, key: &str) -> RedisResult<()> {
    let mut connection = connect(address)?;
    for _ in 0..EACH {
        let _: u32 = connection.incr(key, 1)?; // waits for the answer; the others go on
    }
    Ok(())
}

fn connect(address: &str) -> RedisResult<Connection<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}
