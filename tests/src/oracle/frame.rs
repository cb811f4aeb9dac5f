//! Frames, however their bytes are cut.

use bytes::BytesMut;
use guardhouse_protocol::Namespace;
use guardhouse_protocol::frame::{
    Decoder, Ending, Frame, FrameError, HEAD_BYTES, Hello, Kind, Proof, Rejection, RendererName,
    Role, Side, Version, Welcome,
};

/// What came out of a connection.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// All frames, in order.
    pub frames: Vec<Frame>,
    /// What came after them: an ending, or the peer's fault.
    pub end: Result<Ending, FrameError>,
}

/// Judges the decoder by arbitrary bytes. Of the first byte, the lowest bit says who reads, the
/// next whether a handshake has gone before, the rest how the other bytes are cut.
pub fn frame(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else {
        return;
    };
    let side = if how & 1 == 0 { Side::Main } else { Side::Renderer };
    let mut stream = BytesMut::new();
    if how & 2 == 0 {
        let encoded = opening(side.peer()).encode(side.peer(), &mut stream);
        encoded.expect("our own opening is within the bounds");
    }
    stream.extend_from_slice(rest);

    let reading = whole(side, &stream);
    assert_eq!(reading, bytewise(side, &stream), "cut at every byte");
    // Cuts that the fuzzer can move: the bytes of the stream themselves say how long pieces are.
    let mut state = usize::from(how >> 2);
    let cuts = stream.iter().map(|&byte| {
        state = state.wrapping_mul(31).wrapping_add(usize::from(byte));
        1 + state % 61
    });
    assert_eq!(reading, read(side, &stream, cuts), "cut by the bytes");

    written_again(side.peer(), &stream, &reading);
    if let Err(error) = &reading.end {
        assert!(!error.is_ours());
        assert!(error.offset().is_some_and(|at| at <= stream.len() as u64));
        assert!(error.to_string().len() < 2048, "{error}");
        // Main can always say why it hangs up.
        Frame::Refused(Rejection::malformed(error))
            .encode(Side::Main, &mut BytesMut::new())
            .expect("an error fits a refusal");
    }
}

/// The first frame of a connection, as `sender` may send it.
pub fn opening(sender: Side) -> Frame {
    match sender {
        Side::Renderer => Frame::Hello(Hello::new(
            Namespace::DEFAULT,
            Role::Renderer,
            RendererName::new("settings").expect("it is short"),
            4711,
            Proof::new([0xa5; 32]),
        )),
        Side::Main => {
            Frame::Welcome(Welcome::new(Version::ONE, Default::default(), Proof::new([0x5a; 32])))
        }
    }
}

/// Reads a connection in one piece.
pub fn whole(side: Side, stream: &[u8]) -> Reading {
    read(side, stream, [stream.len()])
}

/// Reads a connection byte by byte.
pub fn bytewise(side: Side, stream: &[u8]) -> Reading {
    read(side, stream, std::iter::repeat_n(1, stream.len()))
}

/// Reads a connection in pieces of these lengths, and what is left then in one piece. On the way it
/// asserts what has to hold after each of them.
pub fn read(side: Side, stream: &[u8], pieces: impl IntoIterator<Item = usize>) -> Reading {
    let mut decoder = Decoder::new(side);
    let mut frames = Vec::new();
    let mut rest = stream;
    for length in pieces.into_iter().chain([usize::MAX]) {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        decoder.push(piece);
        loop {
            match decoder.poll() {
                Ok(Some(frame)) => {
                    // Whoever decides, decides for it: here it is about frames, not about proofs.
                    decoder.agree(Version::ONE);
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.buffered(), 0, "nothing is kept after an error");
                    decoder.push(behind);
                    assert_eq!(decoder.poll(), Err(error.clone()), "an error stays");
                    assert_eq!(decoder.buffered(), 0, "nothing is taken after an error");
                    let end = Err(error);
                    return Reading { frames, end };
                }
            }
        }
        // What is kept is less than the frame that it begins, as its head says.
        let pushed = &stream[..stream.len() - rest.len()];
        let kept = &pushed[pushed.len() - decoder.buffered()..];
        if let Some(length) = kept.first_chunk().filter(|_| kept.len() >= HEAD_BYTES) {
            let claimed = HEAD_BYTES + u32::from_le_bytes(*length) as usize;
            assert!(kept.len() < claimed, "a whole frame was kept back");
        }
    }
    let end = decoder.ending();
    Reading { frames, end }
}

/// What was read and is written again is the same bytes, and is read as the same frame.
fn written_again(sender: Side, stream: &[u8], reading: &Reading) {
    let mut at = 0;
    for frame in &reading.frames {
        let mut wire = BytesMut::new();
        let encoded = frame.encode(sender, &mut wire);
        // A peer may write an id without hyphens, and so fit something into the bound of a
        // handshake that is too large as we write it.
        let is_handshake = matches!(frame.kind(), Kind::Hello | Kind::Welcome | Kind::Refused);
        match encoded {
            Err(_) if is_handshake => {}
            encoded => encoded.expect("what was read can be written"),
        }
        let claimed = stream[at..at + 4].try_into().expect("four bytes");
        let length = HEAD_BYTES + u32::from_le_bytes(claimed) as usize;
        if is_handshake {
            if !wire.is_empty() {
                let again = whole(sender.peer(), &wire);
                assert_eq!(again.frames, std::slice::from_ref(frame));
            }
        } else {
            assert_eq!(wire, stream[at..at + length], "{frame:?}");
        }
        at += length;
    }
    if let Ok(Ending::Death { unfinished }) = reading.end {
        assert_eq!(at + unfinished, stream.len(), "no byte is lost");
    }
}
