//! A mailbox with two folders, for one client.

use std::io::{BufRead, BufReader, Read, Write};

/// Serves until the client says good-bye; returns what it was asked.
pub fn serve<S: Read + Write>(stream: S) -> std::io::Result<Vec<String>> {
    let mut stream = BufReader::new(stream);
    let mut asked = Vec::new();
    let mut say = "* OK here\r\n".to_owned();
    loop {
        stream.get_mut().write_all(say.as_bytes())?;
        stream.get_mut().flush()?;
        if asked.last().is_some_and(|last| last == "LOGOUT") {
            return Ok(asked);
        }
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let (tag, command) = line
            .trim_end()
            .split_once(' ')
            .expect("a tag and a command");
        asked.push(command.to_owned());
        let data = match command.split(' ').next() {
            Some("LIST") => {
                "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST () \"/\" \"Sent mail\"\r\n"
            }
            Some("LOGOUT") => "* BYE\r\n",
            _ => "",
        };
        say = format!("{data}{tag} OK\r\n");
    }
}
