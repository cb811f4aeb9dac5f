//! The classic way: frames over a local socket.
//!
//! Each connection is read and written by one task. It reads on as long as it has room for what it
//! reads: a message holds its share of the connection's room until its answer is written, so a renderer
//! that sends without end, or never reads, comes to a halt itself and holds up nobody else. A
//! connection that breaks the rules is closed and counted; the renderer may come again.

use std::time::Duration;

use bytes::Bytes;
use guardhouse_process::fair_timeout::{timeout, timeout_at};
use guardhouse_process::link::{Reader, Writer};
use guardhouse_protocol::frame::{Ending, Frame, MessageId, Rejection, RejectionReason, Side};
use guardhouse_protocol::{Channel, FlushResult, StreamResult};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::renderers::{Entrance, Way};
use super::room::{
    CONNECTIONS_EACH, HELLO_TIME, LARGE_TIME, LargeShare, OwnShares, SLOWEST_BYTES, SMALL_BYTES,
    Shares,
};
use super::service::{Linked, Service, StreamAnswer};
use crate::house::MessageAnswer;

/// Serves a connection until it ends.
pub(crate) async fn serve<S>(service: Service, stream: S, entrance: Entrance)
where
    S: AsyncRead + AsyncWrite,
{
    let (read, write) = tokio::io::split(stream);
    let mut reader = Reader::new(Side::Main, Box::pin(read));
    let mut writer = Writer::new(Side::Main, Box::pin(write));
    let welcome = shake_hands(&service, &mut reader, &mut writer, entrance).await;
    let Some((renderer, _linked)) = welcome else { return };
    let (answers, answered) = mpsc::unbounded_channel();
    let hearing = Hearing { service: &service, renderer, answers };
    // Whichever ends first ends both: nobody is there any more to be heard, or to be told.
    tokio::select! {
        () = hearing.hear(&mut reader) => {}
        () = tell(&service, renderer, &mut writer, answered) => {}
    }
}

/// Finds out who is there, and says whether it is welcome. Says who it is then.
async fn shake_hands<R, W>(
    service: &Service,
    reader: &mut Reader<R>,
    writer: &mut Writer<W>,
    entrance: Entrance,
) -> Option<(Uuid, Linked)>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let first = first_frame(reader);
    let first = if entrance == Entrance::Inherited {
        // Nobody but the child has the other end, and it may take its time to start.
        first.await
    } else {
        let _unproven = service.room().unproven().or_else(|| {
            service.turn_away("connections", format_args!("too many connections are silent"));
            None
        })?;
        timeout(HELLO_TIME, first).await.unwrap_or_else(|_| {
            service.turn_away("slow", format_args!("a connection said no hello, and was closed"));
            First::Nothing
        })
    };
    let hello = match first {
        First::Hello(hello) => hello,
        First::Malformed(rejection) => {
            service.turn_away(
                "malformed",
                format_args!("a connection was refused: {}", rejection.message()),
            );
            let _ = timeout(HELLO_TIME, refuse(writer, rejection)).await;
            return None;
        }
        First::Nothing => return None,
    };
    match service.welcome(&hello, entrance) {
        Ok((welcome, _)) => {
            reader.agree(welcome.version);
            let renderer = welcome.renderer_id;
            let Some(linked) = service.try_link(renderer, Way::Classic, CONNECTIONS_EACH) else {
                let why =
                    "this renderer has too many connections; close some before you open others";
                service.turn_away("connections", format_args!("renderer {renderer}: {why}"));
                let rejection = Rejection::new(RejectionReason::Busy, why);
                let _ = timeout(HELLO_TIME, refuse(writer, rejection)).await;
                return None;
            };
            let told = async {
                writer.send(&Frame::Welcome(welcome)).await?;
                writer.flush().await
            };
            matches!(timeout(HELLO_TIME, told).await, Ok(Ok(()))).then_some((renderer, linked))
        }
        Err(rejection) => {
            let _ = timeout(HELLO_TIME, refuse(writer, rejection)).await;
            None
        }
    }
}

enum First {
    Hello(Box<guardhouse_protocol::frame::Hello>),
    /// It is none of ours, or one that breaks the rules.
    Malformed(Rejection),
    /// It went away without a word.
    Nothing,
}

async fn first_frame<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> First {
    loop {
        match reader.next_frame() {
            Ok(Some(Frame::Hello(hello))) => return First::Hello(Box::new(hello)),
            // The decoder lets nothing else be the first.
            Ok(Some(_)) => return First::Nothing,
            Ok(None) => {}
            Err(error) => return First::Malformed(Rejection::malformed(&error)),
        }
        match reader.fill().await {
            Ok(true) => {}
            Ok(false) => {
                return match reader.ending() {
                    Err(error) => First::Malformed(Rejection::malformed(&error)),
                    Ok(_) => First::Nothing,
                };
            }
            Err(_) => return First::Nothing,
        }
    }
}

async fn refuse<W: AsyncWrite + Unpin>(
    writer: &mut Writer<W>,
    rejection: Rejection,
) -> std::io::Result<()> {
    writer.send(&Frame::Refused(rejection)).await?;
    writer.shut_down().await
}

/// An answer on its way, with what it takes up of its renderer's room until it is written.
struct Answer {
    /// Nothing if main cannot answer, and the renderer should come again.
    frame: Option<Frame>,
    _shares: Option<OwnShares>,
}

/// The half of a connection on which a renderer speaks.
struct Hearing<'s> {
    service: &'s Service,
    renderer: Uuid,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Hearing<'_> {
    /// Hears what the renderer says, until it says no more.
    async fn hear<R: AsyncRead + Unpin>(&self, reader: &mut Reader<R>) {
        // The share of the large message that is coming, and since when it comes.
        let mut large: Option<LargeShare> = None;
        let mut begun = None;
        loop {
            loop {
                match reader.next_frame() {
                    Ok(Some(Frame::Goodbye)) => return self.service.leave(self.renderer),
                    Ok(Some(frame)) => {
                        if self.take(frame, &mut large).await.is_none() {
                            return;
                        }
                        // With its head before it, a message can be larger than a small one while it
                        // comes and none when it is there. It keeps no place then that others wait for.
                        (large, begun) = (None, None);
                    }
                    Ok(None) => break,
                    Err(error) => return self.cut_off(&error),
                }
            }
            if reader.buffered() > SMALL_BYTES {
                if large.is_none() {
                    large = self.service.room().large(self.renderer).await;
                }
                begun.get_or_insert_with(Instant::now);
            }
            let filled = match begun.map(|begun| large_until(begun, reader.buffered())) {
                // What is there already is read, however late it is.
                Some(until) => timeout_at(until, reader.fill()).await,
                None => Ok(reader.fill().await),
            };
            match filled {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    return match reader.ending() {
                        Ok(Ending::Death { unfinished }) if unfinished > 0 => {
                            self.service.say_in_debug(format_args!(
                                "renderer {} ended in the middle of a message",
                                self.renderer
                            ));
                        }
                        Err(error) => self.cut_off(&error),
                        Ok(_) => {}
                    };
                }
                Ok(Err(_)) => return,
                Err(_) => {
                    return self.service.turn_away(
                        "slow",
                        format_args!(
                            "renderer {}: a large message took too long, and its connection was closed",
                            self.renderer
                        ),
                    );
                }
            }
        }
    }

    fn cut_off(&self, error: &guardhouse_protocol::frame::FrameError) {
        self.service.turn_away(
            "malformed",
            format_args!("renderer {}: {error}; its connection was closed", self.renderer),
        );
    }

    /// Waits for room for what was read. What is large has its place already.
    async fn room_for(&self, length: usize, large: &mut Option<LargeShare>) -> Option<Shares> {
        let large = if length > SMALL_BYTES { large.take() } else { None };
        self.service.room().message(self.renderer, length, large).await
    }

    /// Hands a frame over. Nothing if main takes nothing any more.
    async fn take(&self, frame: Frame, large: &mut Option<LargeShare>) -> Option<()> {
        match frame {
            Frame::Message { id, channel, payload } => {
                let shares = self.room_for(payload.len(), large).await?;
                let answers = self.answers.clone();
                let answer = move |answer, shares| {
                    let frame = frame_of(id, channel, answer);
                    let _ = answers.send(Answer { frame, _shares: shares });
                };
                let message = (Some(id), channel, payload);
                self.service.hand_over(self.renderer, message, shares, answer);
            }
            Frame::StreamOpen { id, channel, payload } => {
                let shares = self.room_for(payload.len(), large).await?;
                let answer = self.answer_stream(id, channel, shares);
                self.service.open_stream(self.renderer, id, &payload, answer);
            }
            Frame::Chunk { id, channel, offset, last, data } => {
                let shares = self.room_for(data.len(), large).await?;
                let answer = self.answer_stream(id, channel, shares);
                self.service.take_chunk(self.renderer, id, (offset, last), data, answer);
            }
            // A renderer sends nothing else: the decoder would have refused it.
            _ => {}
        }
        Some(())
    }

    fn answer_stream(
        &self,
        id: MessageId,
        channel: Channel,
        shares: Shares,
    ) -> impl FnOnce(StreamAnswer) + Send + 'static {
        let answers = self.answers.clone();
        move |answer| {
            let frame = match answer {
                StreamAnswer::At(received) | StreamAnswer::OutOfPlace(received) => {
                    Some(Frame::StreamAck { id, received })
                }
                StreamAnswer::Complete(received) => {
                    let result = StreamResult { received, complete: true };
                    Some(Frame::Reply { id, channel, payload: json(result.to_json().text()) })
                }
                // When it comes again it opens its streams anew.
                StreamAnswer::NotOpen => None,
                StreamAnswer::Declined(reason) => Some(Frame::Declined { id, reason }),
            };
            let _ = answers.send(Answer { frame, _shares: Some(shares.answered()) });
        }
    }
}

/// When more of a large message has to be there of which so much is.
fn large_until(begun: Instant, buffered: usize) -> Instant {
    let earned = Duration::from_secs((buffered / SLOWEST_BYTES) as u64);
    begun + LARGE_TIME.min(HELLO_TIME + earned)
}

/// What a renderer is told about a message. Nothing if it should keep it and come again.
fn frame_of(id: MessageId, channel: Channel, answer: MessageAnswer) -> Option<Frame> {
    let reply = |text: &str| Some(Frame::Reply { id, channel, payload: json(text) });
    let is_durable = answer != MessageAnswer::NotDurable;
    match answer {
        refused if !refused.is_final() => None,
        MessageAnswer::Refused { why, .. } => Some(Frame::Declined { id, reason: why }),
        MessageAnswer::Feedback(result) => reply(result.to_json().text()),
        MessageAnswer::Taken | MessageAnswer::NotDurable if channel == Channel::Flush => {
            reply(FlushResult { durable: is_durable }.to_json().text())
        }
        MessageAnswer::Taken | MessageAnswer::NotDurable => Some(Frame::Ack { id }),
    }
}

fn json(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Tells a renderer what became of what it said, and what main pushes, until it cannot be told.
async fn tell<W: AsyncWrite + Unpin>(
    service: &Service,
    renderer: Uuid,
    writer: &mut Writer<W>,
    mut answers: mpsc::UnboundedReceiver<Answer>,
) {
    let (Some(mut config), Some(mut trace)) =
        (service.pushes(Channel::Config), service.pushes(Channel::Trace))
    else {
        return;
    };
    let mut told = [0, 0];
    let mut next_push = 1;
    loop {
        for (at, (channel, pushes)) in
            [(Channel::Config, &mut config), (Channel::Trace, &mut trace)].into_iter().enumerate()
        {
            let news = pushes.borrow_and_update().news_for(renderer, told[at]);
            let Some((cursor, payload)) = news else { continue };
            told[at] = cursor;
            let frame = Frame::Message { id: MessageId::new(next_push), channel, payload };
            next_push += 1;
            if writer.send(&frame).await.is_err() {
                return;
            }
        }
        if writer.flush().await.is_err() {
            return;
        }
        tokio::select! {
            biased;
            answer = answers.recv() => {
                // It cannot be closed: the hearing half has the other end.
                let mut next = answer;
                let mut written = Vec::new();
                while let Some(answer) = next {
                    let Some(frame) = &answer.frame else {
                        // What is known goes before.
                        let _ = writer.flush().await;
                        return;
                    };
                    if writer.send(frame).await.is_err() {
                        return;
                    }
                    // Given back when it is really written.
                    written.push(answer);
                    next = answers.try_recv().ok();
                }
                if writer.flush().await.is_err() {
                    return;
                }
            }
            _ = config.changed() => {}
            _ = trace.changed() => {}
        }
    }
}
