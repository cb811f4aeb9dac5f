//! What is sent: bytes, or a file between bytes, compressed on the way.
//!
//! A body of up to 1 MiB is compressed as a whole before it is sent, and its length is told. That
//! passes every proxy and web server on the way, also those that take no body of unknown length,
//! and lets a server refuse it by its length at once. A larger one is compressed piece by piece as
//! the connection takes it, so that it costs no memory to speak of; its length is not known before
//! and it goes in chunks.
//!
//! Reading and compressing happen on the thread that sends, in pieces of 64 KiB.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Frame, SizeHint};

use super::deadline::Progress;

/// Below this, compressing gains nothing.
const PLAIN: u64 = 1024;
/// Up to this, a body is compressed as a whole.
const WHOLE: u64 = 1024 * 1024;
/// What is read, and what is handed to the connection, at a time.
const PIECE: usize = 64 * 1024;

/// An envelope to be sent: bytes in front, then bytes or an open file, then bytes behind.
///
/// ```
/// use guardhouse_main::outbox::http::Upload;
///
/// // The stored envelope's header is replaced on the way, and a report is put behind it.
/// let upload = Upload::new(&b"{\"sent_at\":\"2026-11-20T18:54:36Z\"}\n"[..])
///     .then(&b"{\"type\":\"event\"}\n{}\n"[..])
///     .then(&b"{\"type\":\"client_report\"}\n{}\n"[..]);
/// assert_eq!(upload.len(), 35 + 20 + 28);
/// ```
#[derive(Debug, Default)]
pub struct Upload {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    File(File, u64),
}

impl Upload {
    /// An upload that begins with these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::default().then(bytes)
    }

    /// Puts bytes behind what there is.
    #[must_use]
    pub fn then(mut self, bytes: impl Into<Bytes>) -> Self {
        self.parts.push(Part::Bytes(bytes.into()));
        self
    }

    /// Puts so many bytes of a file behind what there is, read from where the file stands. They are
    /// read as they are sent. A file that ends earlier, or cannot be read, ends the exchange with
    /// [`SendErrorKind::Body`](super::SendErrorKind::Body).
    #[must_use]
    pub fn then_file(mut self, file: File, length: u64) -> Self {
        self.parts.push(Part::File(file, length));
        self
    }

    /// How many bytes it has, not compressed.
    pub fn len(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File(_, length) => *length,
        };
        self.parts.iter().map(length).fold(0, u64::saturating_add)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn into_reader(self) -> Reader {
        let mut reader: Reader = Box::new(io::empty());
        for part in self.parts {
            reader = match part {
                Part::Bytes(bytes) => Box::new(reader.chain(bytes.reader())),
                Part::File(file, left) => Box::new(reader.chain(Stretch { file, left })),
            };
        }
        reader
    }
}

type Reader = Box<dyn Read + Send + Sync>;

/// So many bytes of a file, and an error if it has not as many.
#[derive(Debug)]
struct Stretch {
    file: File,
    left: u64,
}

impl Read for Stretch {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read(&mut out[..most])?;
        if read == 0 {
            let message = format!("the file ends {} bytes before it should", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Why a body could not be sent: it could not be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) io::Error);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unreadable {}

/// The body of a request.
pub(super) struct Body {
    source: Source,
    progress: Arc<Progress>,
}

enum Source {
    /// What is left of a body that is there as a whole.
    Whole(Bytes),
    /// What is still to be read and compressed; nothing when the last piece was handed over.
    Stream(Option<Compressor>),
}

struct Compressor {
    reader: Reader,
    encoder: GzEncoder<Vec<u8>>,
    piece: Box<[u8]>,
}

/// A body, and whether it is compressed.
pub(super) fn prepare(upload: Upload, progress: Arc<Progress>) -> Result<(Body, bool), Unreadable> {
    let length = upload.len();
    let mut reader = upload.into_reader();
    // The computer's time is worth more than the last bytes: the fast way does most of it.
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let source = if length < PLAIN {
        let mut whole = Vec::new();
        reader.read_to_end(&mut whole).map_err(Unreadable)?;
        Source::Whole(whole.into())
    } else if length <= WHOLE {
        let mut encoder = encoder;
        io::copy(&mut reader, &mut encoder).map_err(Unreadable)?;
        Source::Whole(encoder.finish().map_err(Unreadable)?.into())
    } else {
        let piece = vec![0; PIECE].into_boxed_slice();
        Source::Stream(Some(Compressor { reader, encoder, piece }))
    };
    if length == 0 {
        // Nobody will ask for a piece.
        progress.complete();
    }
    Ok((Body { source, progress }, length >= PLAIN))
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let this = &mut *self;
        let (data, is_last) = match &mut this.source {
            Source::Whole(left) => {
                let data = left.split_to(left.len().min(PIECE));
                (data, left.is_empty())
            }
            Source::Stream(None) => return Poll::Ready(None),
            Source::Stream(Some(compressor)) => match compressor.next() {
                Ok((data, is_last)) => {
                    if is_last {
                        this.source = Source::Stream(None);
                    }
                    (data, is_last)
                }
                Err(error) => return Poll::Ready(Some(Err(Unreadable(error)))),
            },
        };
        if is_last {
            this.progress.complete();
        }
        if data.is_empty() {
            if is_last {
                return Poll::Ready(None);
            }
            // What was read compressed to nothing yet. Others may do something before the next piece.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.progress.taken(data.len());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(left) => left.is_empty(),
            Source::Stream(compressor) => compressor.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(left) => SizeHint::with_exact(left.len() as u64),
            Source::Stream(_) => SizeHint::default(),
        }
    }
}

impl Compressor {
    /// Compresses the next piece: what came out of it, and whether it was the last.
    fn next(&mut self) -> io::Result<(Bytes, bool)> {
        let read = loop {
            match self.reader.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            self.encoder.try_finish()?;
        } else {
            self.encoder.write_all(&self.piece[..read])?;
        }
        Ok((std::mem::take(self.encoder.get_mut()).into(), read == 0))
    }
}
