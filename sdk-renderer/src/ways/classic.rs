//! The classic way: frames over a socket, or on Windows a named pipe.
//!
//! One task writes and one reads, so that neither waits for the other. When main does not read, the
//! socket fills, then the line's queue, and the courier keeps the rest.

use std::path::Path;

use guardhouse_process::link::{Reader, Writer};
use guardhouse_protocol::frame::{Frame, Hello, Side, Welcome};
use guardhouse_protocol::limits::MESSAGE_WINDOW;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{FRAMES, Heard, Line, NoWay, PATIENCE};
use crate::house::Way;

/// As much may be under way as the contract allows.
const DEPTH: usize = MESSAGE_WINDOW as usize;

/// Opens a line over main's socket.
#[cfg(unix)]
pub(super) async fn open(socket: &Path, hello: &Hello) -> Result<Line, NoWay> {
    let connecting = timeout(PATIENCE, tokio::net::UnixStream::connect(socket));
    let connected = connecting.await.map_err(|_| NoWay::Failed("its socket hangs".to_owned()))?;
    let stream = connected.map_err(|error| failed(socket, &error))?;
    let (reading, writing) = stream.into_split();
    begin(reading, writing, hello).await
}

/// Opens a line over main's pipe.
#[cfg(windows)]
pub(super) async fn open(socket: &Path, hello: &Hello) -> Result<Line, NoWay> {
    let connected = tokio::net::windows::named_pipe::ClientOptions::new().open(socket);
    let stream = connected.map_err(|error| failed(socket, &error))?;
    let (reading, writing) = tokio::io::split(stream);
    begin(reading, writing, hello).await
}

/// Opens a line over a socket that is connected already.
#[cfg(unix)]
pub(super) async fn take_over(socket: std::os::fd::OwnedFd, hello: &Hello) -> Result<Line, NoWay> {
    let socket = std::os::unix::net::UnixStream::from(socket);
    let stream = socket
        .set_nonblocking(true)
        .and_then(|()| tokio::net::UnixStream::from_std(socket))
        .map_err(|error| NoWay::Failed(format!("the socket that main gave: {error}")))?;
    let (reading, writing) = stream.into_split();
    begin(reading, writing, hello).await
}

fn failed(socket: &Path, error: &std::io::Error) -> NoWay {
    NoWay::Failed(format!("{}: {error}", socket.display()))
}

async fn begin<R, W>(reading: R, writing: W, hello: &Hello) -> Result<Line, NoWay>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let mut reader = Reader::new(Side::Renderer, reading);
    let mut writer = Writer::new(Side::Renderer, writing);
    let welcomed = timeout(PATIENCE, greet(&mut reader, &mut writer, hello));
    let welcome =
        welcomed.await.map_err(|_| NoWay::Failed("it does not answer a hello".to_owned()))??;
    let (outgoing, to_write) = mpsc::channel(FRAMES);
    let (heard, incoming) = mpsc::channel(FRAMES);
    let tasks = vec![
        tokio::spawn(write(writer, to_write, heard.clone())),
        tokio::spawn(read(reader, heard)),
    ];
    Ok(Line::new((Way::Classic, DEPTH), welcome, outgoing, incoming, tasks))
}

async fn greet<R, W>(
    reader: &mut Reader<R>,
    writer: &mut Writer<W>,
    hello: &Hello,
) -> Result<Welcome, NoWay>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let failed = |error: &dyn std::fmt::Display| NoWay::Failed(error.to_string());
    writer.send(&Frame::Hello(hello.clone())).await.map_err(|error| failed(&error))?;
    writer.flush().await.map_err(|error| failed(&error))?;
    loop {
        match reader.next_frame().map_err(|error| failed(&error))? {
            Some(Frame::Welcome(welcome)) => {
                let version = hello.check(&welcome).map_err(|error| failed(&error))?;
                reader.agree(version);
                return Ok(welcome);
            }
            Some(Frame::Refused(rejection)) => return Err(NoWay::Rejected(rejection)),
            // Nothing else can come first.
            Some(frame) => return Err(NoWay::Failed(format!("it began with {frame:?}"))),
            None => {
                if !reader.fill().await.map_err(|error| failed(&error))? {
                    return Err(failed(&"it has closed the connection instead of a welcome"));
                }
            }
        }
    }
}

async fn write<W>(
    mut writer: Writer<W>,
    mut frames: mpsc::Receiver<Frame>,
    heard: mpsc::Sender<Heard>,
) where
    W: AsyncWrite + Unpin,
{
    let error = loop {
        let frame = match frames.try_recv() {
            Ok(frame) => frame,
            Err(_) => {
                // There is nothing to go together with what was written.
                if let Err(error) = writer.flush().await {
                    break error;
                }
                match frames.recv().await {
                    Some(frame) => frame,
                    None => return,
                }
            }
        };
        if let Err(error) = writer.send(&frame).await {
            break error;
        }
        if frame == Frame::Goodbye {
            let _ = writer.shut_down().await;
            return;
        }
    };
    let _ = heard.send(Heard::Ended(format!("main cannot be written to: {error}"))).await;
}

async fn read<R>(mut reader: Reader<R>, heard: mpsc::Sender<Heard>)
where
    R: AsyncRead + Unpin,
{
    let why = loop {
        match reader.next_frame() {
            Ok(Some(Frame::Goodbye)) => break "main has said goodbye".to_owned(),
            Ok(Some(frame)) => {
                if heard.send(Heard::Frame(frame)).await.is_err() {
                    return;
                }
            }
            Ok(None) => match reader.fill().await {
                Ok(true) => {}
                Ok(false) => break "main has closed the connection".to_owned(),
                Err(error) => break format!("main cannot be read from: {error}"),
            },
            Err(error) => break format!("main has broken the rules: {error}"),
        }
    };
    let _ = heard.send(Heard::Ended(why)).await;
}
