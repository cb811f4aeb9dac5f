//! Reading requests: heads, bodies, chunks. Written for itself, so that it cannot be wrong in the
//! same way as what it tests.

use std::io::{self, BufRead, BufReader, Read};

use super::stream::Stream;

const LINE_BYTES: u64 = 64 * 1024;
const HEADERS: usize = 200;

/// The head of a request.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header; of the first, if there are several.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// The value of the first header of this name.
pub(super) fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Reads requests from a connection.
pub(super) struct Requests {
    pub(super) stream: BufReader<Stream>,
}

impl Requests {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream: BufReader::with_capacity(4096, stream) }
    }

    /// Waits for the first byte of a request; whether there is one.
    pub(super) fn wait(&mut self) -> io::Result<bool> {
        Ok(!self.stream.fill_buf()?.is_empty())
    }

    pub(super) fn head(&mut self) -> io::Result<Head> {
        let first = self.line()?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed("the request line"));
        };
        let mut head =
            Head { method: method.to_owned(), target: target.to_owned(), headers: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header"))?;
            head.headers.push((name.to_owned(), value.trim().to_owned()));
            if head.headers.len() > HEADERS {
                return Err(malformed("so many headers"));
            }
        }
    }

    /// Reads a body. `piece` is called after each piece of it with what there is so far, and says
    /// whether to go on.
    pub(super) fn body(
        &mut self,
        head: &Head,
        mut piece: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        let is_chunked = head.get("transfer-encoding").is_some_and(|value| value == "chunked");
        match (is_chunked, head.get("content-length")) {
            (true, Some(_)) => Err(malformed("a body that has a length and chunks")),
            (false, None) => Ok(Some(body)),
            (false, Some(length)) => {
                let length = length.parse().map_err(|_| malformed("the body's length"))?;
                let is_whole = self.stretch(length, &mut body, &mut piece)?;
                Ok(is_whole.then_some(body))
            }
            (true, None) => loop {
                let line = self.line()?;
                let length =
                    u64::from_str_radix(&line, 16).map_err(|_| malformed("a chunk's length"))?;
                if !self.stretch(length, &mut body, &mut piece)? {
                    return Ok(None);
                }
                if !self.line()?.is_empty() {
                    return Err(malformed("the end of a chunk"));
                }
                if length == 0 {
                    return Ok(Some(body));
                }
            },
        }
    }

    fn stretch(
        &mut self,
        length: u64,
        body: &mut Vec<u8>,
        piece: &mut impl FnMut(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let mut left = length;
        while left > 0 {
            // In at least two pieces, so that there is a middle.
            let most = left.min(64 * 1024).min(length.div_ceil(2));
            let read = self.stream.by_ref().take(most).read_to_end(body)? as u64;
            if read < most {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
            if !piece(body) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| malformed("a line's end"))?;
        String::from_utf8(line.to_vec()).map_err(|_| malformed("a line's text"))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is malformed"))
}
