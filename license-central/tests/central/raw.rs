//! Requests byte by byte, as no client sends them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// After this a test that hangs ends.
pub(crate) const HANG: Duration = Duration::from_secs(100);

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// What a connection answered until it closed; none if it said nothing.
    pub(crate) fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        // A connection that is reset has said what it said.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Some(Answer { status, headers: lines.map(header).collect(), body: body.to_owned() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A connection.
pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(HANG)).expect("a time-out");
    stream
}

/// A connection from another address of this machine.
pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::new(from, 0)).expect("an address");
    connect(&socket, &to).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(HANG)).expect("a time-out");
    stream
}

/// A request of these lines with this body; the answer, when the connection has closed.
pub(crate) fn send(to: SocketAddr, head: &[&str], body: &[u8]) -> Option<Answer> {
    let mut stream = connect(to);
    let mut bytes = head.join("\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\nhost: x\r\nconnection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    // The server may answer and close before it has read all.
    let _ = stream.write_all(&bytes);
    Answer::read(&mut stream)
}
