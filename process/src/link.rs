//! Frames over a connection, for either side.
//!
//! It reads and writes what [`guardhouse_protocol::frame`] decides, and adds nothing to it: when to
//! read, how long to wait, and what to do about a peer that breaks the rules is up to whoever owns the
//! connection. Bytes are read in pieces of [`PIECE_BYTES`], so the [`Decoder`] holds what it promises.

use std::io;

use bytes::{Buf, BytesMut};
use guardhouse_protocol::frame::{Decoder, Ending, Frame, FrameError, Side, Version};
use guardhouse_protocol::limits::KIB;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// So many bytes are read at a time.
pub const PIECE_BYTES: usize = 64 * KIB;

/// What is larger is written from where it lies; what is not is put together with its neighbours.
const COPIED_BYTES: usize = 16 * KIB;

/// The half of a connection from which frames come.
///
/// ```
/// use guardhouse_process::link::{Reader, Writer};
/// use guardhouse_protocol::frame::{Frame, Side};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (ours, theirs) = tokio::io::duplex(64);
/// let mut writer = Writer::new(Side::Renderer, theirs);
/// writer.send(&Frame::Goodbye).await?;
/// writer.flush().await?;
/// drop(writer);
///
/// let mut reader = Reader::new(Side::Main, ours);
/// while reader.fill().await? {}
/// let error = reader.next_frame().unwrap_err();
/// assert!(error.to_string().contains("handshake"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    half: R,
    decoder: Decoder,
    piece: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// The reader of `side`.
    pub fn new(side: Side, half: R) -> Self {
        Self { half, decoder: Decoder::new(side), piece: vec![0; PIECE_BYTES].into() }
    }

    /// The next frame of what was read, if all of it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.poll()
    }

    /// Reads on. Says whether there was anything: if not, the peer has closed the connection. It can be
    /// dropped while it waits, and nothing is lost.
    pub async fn fill(&mut self) -> io::Result<bool> {
        let length = self.half.read(&mut self.piece).await?;
        self.decoder.push(&self.piece[..length]);
        Ok(length > 0)
    }

    /// How many bytes wait for the rest of their frame.
    pub fn buffered(&self) -> usize {
        self.decoder.buffered()
    }

    /// Says in which version it goes on after the handshake.
    pub fn agree(&mut self, version: Version) {
        self.decoder.agree(version);
    }

    /// What it means that the peer has closed the connection.
    pub fn ending(&self) -> Result<Ending, FrameError> {
        self.decoder.ending()
    }
}

/// The half of a connection into which frames go.
///
/// What is [sent](Self::send) may be kept to go together with what follows, until
/// [`flush`](Self::flush). Neither may be dropped while it waits: part of a frame may be written.
#[derive(Debug)]
pub struct Writer<W> {
    half: W,
    side: Side,
    waiting: BytesMut,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// The writer of `side`.
    pub fn new(side: Side, half: W) -> Self {
        Self { half, side, waiting: BytesMut::new() }
    }

    /// Writes a frame, or keeps it to go with the next. A frame that the other side would refuse is
    /// an error ([`io::ErrorKind::InvalidData`]), and nothing of it is written.
    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        let (prefix, payload) = frame
            .to_parts(self.side)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.waiting.extend_from_slice(&prefix);
        if payload.len() <= COPIED_BYTES {
            self.waiting.extend_from_slice(&payload);
            if self.waiting.len() >= PIECE_BYTES {
                self.write_waiting().await?;
            }
            return Ok(());
        }
        let mut both = Buf::chain(&self.waiting[..], payload);
        while both.has_remaining() {
            self.half.write_buf(&mut both).await?;
        }
        self.waiting.clear();
        Ok(())
    }

    /// Writes all that was kept.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write_waiting().await?;
        self.half.flush().await
    }

    /// Says that nothing more comes.
    pub async fn shut_down(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.half.shutdown().await
    }

    async fn write_waiting(&mut self) -> io::Result<()> {
        self.half.write_all(&self.waiting).await?;
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use guardhouse_protocol::Channel;
    use guardhouse_protocol::frame::MessageId;

    use super::*;

    #[test]
    fn frames_of_all_sizes_arrive_as_they_were_sent() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(1000);
            let message = |id: u64, length: usize| Frame::Message {
                id: MessageId::new(id),
                channel: Channel::Envelope,
                payload: Bytes::from(vec![b'x'; length]),
            };
            let lengths = [0, 1, COPIED_BYTES, COPIED_BYTES + 1, 3 * PIECE_BYTES];
            let frames: Vec<_> =
                (1..).zip(lengths).map(|(id, length)| message(id, length)).collect();
            let sent = frames.clone();
            let sending = tokio::spawn(async move {
                let mut writer = Writer::new(Side::Renderer, theirs);
                for frame in &sent {
                    writer.send(frame).await.unwrap();
                }
                writer.flush().await.unwrap();
                let refused = writer.send(&message(9, 64 << 20)).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
            });
            let mut reader = Reader::new(Side::Main, ours);
            // As after a handshake, which is not what is shown here.
            let mut decoder = Decoder::new(Side::Main);
            let mut bytes = BytesMut::new();
            while reader.half.read_buf(&mut bytes).await.unwrap() > 0 {}
            sending.await.unwrap();
            decoder.push(&bytes);
            let mut expected = BytesMut::new();
            for frame in &frames {
                frame.encode(Side::Renderer, &mut expected).unwrap();
            }
            assert_eq!(bytes, expected);
        });
    }
}
