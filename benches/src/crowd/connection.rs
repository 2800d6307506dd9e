//! One keep-alive connection that reads just enough of HTTP.

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The longest answer that is taken.
const ANSWER_MAX: usize = 4 << 20;

/// What an answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: bool,
    /// All its bytes.
    length: usize,
    close: bool,
}

pub(super) struct Connection {
    server: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { server, stream, buffer: Vec::with_capacity(1024) })
    }

    pub(super) async fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.server).await?;
        Ok(())
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut answer = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if answer.is_none() {
                answer = head(&self.buffer)?;
            }
            if let Some(answer) = answer.filter(|answer| self.buffer.len() >= answer.length) {
                if answer.close {
                    self.reopen().await?;
                }
                return Ok(answer);
            }
        }
    }
}

/// The head of an answer, once all of it is there.
fn head(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "this is not an answer with a Content-Length");
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| strange())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).ok_or_else(strange)?;
    let (mut body, mut retry_after, mut close) = (None::<usize>, false, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse().ok().filter(|length| *length <= ANSWER_MAX);
        } else if name.eq_ignore_ascii_case("retry-after") {
            retry_after = true;
        } else if name.eq_ignore_ascii_case("connection") {
            close = value.trim().eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(Answer { status, retry_after, length: end + 4 + body.ok_or_else(strange)?, close }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let text =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        assert_eq!(head(&text.as_bytes()[..40]).unwrap(), None);
        let expected = Answer { status: 503, retry_after: true, length: text.len(), close: true };
        assert_eq!(head(text.as_bytes()).unwrap(), Some(expected));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
