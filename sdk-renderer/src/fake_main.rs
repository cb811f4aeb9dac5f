//! A main for tests: it welcomes renderers on both ways, remembers what it got, and breaks when told to.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use guardhouse_process::link::{Reader, Writer};
use guardhouse_process::lock;
use guardhouse_process::meeting::{Meeting, Posted};
use guardhouse_process::offline_file::{LeftFile, find};
use guardhouse_protocol::frame::{
    Frame, Hello, MessageId, Proof, Rejection, Role, Side, Version, Welcome,
};
use guardhouse_protocol::http::{Answer, CURSOR_HEADER, GOODBYE_PATH, HELLO_PATH, RequestHead};
use guardhouse_protocol::{Channel, FlushResult, Namespace, RunId, StreamResult};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::house::Way;

/// A folder for notes, sockets and offline files.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("guardhouse-test-{}", Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) welcome: Option<Welcome>,
    pub(crate) hellos: Vec<Role>,
    known: BTreeSet<MessageId>,
    /// What was taken, each once, and on which way.
    pub(crate) taken: Vec<(Way, Channel, Bytes)>,
    pub(crate) streams: HashMap<MessageId, Vec<u8>>,
    pub(crate) goodbyes: usize,
    spool: PathBuf,
    /// How many offline files there were to be read when the last goodbye came.
    pub(crate) offline_files: usize,
    pub(crate) requests: usize,
    /// The next requests are answered so, whatever they are.
    pub(crate) answers: Vec<Answer>,
    /// Whether it takes messages and says nothing.
    pub(crate) is_silent: bool,
    pub(crate) rejection: Option<Rejection>,
    pub(crate) is_classic_linked: bool,
}

impl Book {
    /// The envelopes that were taken.
    pub(crate) fn envelopes(&self) -> Vec<String> {
        let envelopes = self.taken.iter().filter(|(_, channel, _)| *channel == Channel::Envelope);
        envelopes.map(|(.., bytes)| String::from_utf8(bytes.to_vec()).unwrap()).collect()
    }

    fn hello(&mut self, hello: &Hello) -> Result<Welcome, Rejection> {
        if let Some(rejection) = &self.rejection {
            return Err(rejection.clone());
        }
        self.hellos.push(hello.role.clone());
        match self.welcome.clone().filter(|former| hello.resumes(former)) {
            Some(former) => Ok(former),
            None => {
                let secret = Uuid::new_v4().into_bytes();
                let secret = Proof::new([secret, secret].concat().try_into().unwrap());
                let welcome = Welcome::new(Version::ONE, Uuid::new_v4(), secret);
                self.known.clear();
                Ok(self.welcome.insert(welcome).clone())
            }
        }
    }

    fn take(&mut self, way: Way, id: MessageId, channel: Channel, payload: Bytes) -> Option<Bytes> {
        if self.known.insert(id) && channel != Channel::Flush {
            self.taken.push((way, channel, payload));
        }
        let durable = FlushResult { durable: true }.to_json();
        match channel {
            Channel::Flush => Some(Bytes::copy_from_slice(durable.text().as_bytes())),
            Channel::Feedback => Some(Bytes::from_static(b"{\"statusCode\":200}")),
            _ => None,
        }
    }

    fn result(&self, id: MessageId, complete: bool) -> Bytes {
        let received = self.streams[&id].len() as u64;
        let result = StreamResult { received, complete }.to_json();
        Bytes::copy_from_slice(result.text().as_bytes())
    }
}

type Shared = Arc<(Mutex<Book>, Condvar)>;

/// See the [module](self).
pub(crate) struct FakeMain {
    book: Shared,
    // Gone before the connections are, so that whoever notices their end finds it gone.
    posted: Option<Posted>,
    runtime: Runtime,
    listening: Option<JoinHandle<()>>,
    config: watch::Sender<(u64, Bytes)>,
}

impl FakeMain {
    pub(crate) fn new(folder: &Folder, classic: bool, protocol: bool) -> Self {
        Self::with_spool(folder, classic, protocol, Some(folder.spool()))
    }

    pub(crate) fn with_spool(
        folder: &Folder,
        classic: bool,
        protocol: bool,
        spool: Option<PathBuf>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut meeting = Meeting::new(Namespace::DEFAULT, Proof::new([7; 32]));
        meeting.spool = spool;
        meeting.run = Some(RunId::new(Uuid::new_v4().as_u64_pair().0));
        if classic {
            meeting.socket = Some(folder.0.join(format!("{}.sock", Uuid::new_v4().simple())));
        }
        let book = Shared::default();
        lock(&book.0).spool = folder.spool();
        let (config, pushes) = watch::channel((0, Bytes::new()));
        if protocol {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            meeting.address = Some(listener.local_addr().unwrap());
            runtime.spawn(serve(listener, book.clone(), pushes));
        }
        let posted = Some(meeting.post(&folder.0).unwrap());
        let mut main = Self { book, runtime, posted, listening: None, config };
        if classic {
            main.restore_classic();
        }
        main
    }

    pub(crate) fn note(&self) -> &Path {
        self.posted.as_ref().unwrap().path()
    }

    fn socket(&self) -> &Path {
        self.posted.as_ref().unwrap().meeting().socket.as_deref().unwrap()
    }

    /// Closes the socket and all connections to it.
    pub(crate) fn cut_classic(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = self.runtime.block_on(listening);
            let _ = std::fs::remove_file(self.socket());
        }
    }

    pub(crate) fn restore_classic(&mut self) {
        let _guard = self.runtime.enter();
        let listener = UnixListener::bind(self.socket()).unwrap();
        let book = self.book.clone();
        let pushes = self.config.subscribe();
        self.listening = Some(self.runtime.spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                links.spawn(link(stream, book.clone(), pushes.clone()));
            }
        }));
    }

    /// Talks to whoever has the other end.
    pub(crate) fn adopt(&self, socket: std::os::unix::net::UnixStream) {
        socket.set_nonblocking(true).unwrap();
        let _guard = self.runtime.enter();
        let stream = UnixStream::from_std(socket).unwrap();
        self.runtime.spawn(link(stream, self.book.clone(), self.config.subscribe()));
    }

    pub(crate) fn push_config(&self, config: &'static str) {
        let number = self.config.borrow().0 + 1;
        let _ = self.config.send((number, Bytes::from_static(config.as_bytes())));
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Book) -> R) -> R {
        let result = look(&mut lock(&self.book.0));
        self.book.1.notify_all();
        result
    }

    /// Waits until it has come to something.
    pub(crate) fn until<R>(&self, mut look: impl FnMut(&mut Book) -> Option<R>) -> R {
        let hang = Instant::now() + Duration::from_secs(30);
        let mut book = lock(&self.book.0);
        loop {
            if let Some(result) = look(&mut book) {
                return result;
            }
            assert!(Instant::now() < hang, "it hangs: {:?}, {:?}", book.envelopes(), book.requests);
            book = self.book.1.wait_timeout(book, Duration::from_secs(1)).unwrap().0;
        }
    }
}

async fn link(stream: UnixStream, book: Shared, mut pushes: watch::Receiver<(u64, Bytes)>) {
    let (reading, writing) = stream.into_split();
    let mut reader = Reader::new(Side::Main, reading);
    let mut writer = Writer::new(Side::Main, writing);
    let mut is_welcome = false;
    let mut push_id = 1;
    loop {
        while let Ok(Some(frame)) = reader.next_frame() {
            let mut answer = {
                let mut book = lock(&book.0);
                let answer = answer_frame(&mut book, frame);
                if matches!(answer, Some(Frame::Welcome(_))) {
                    book.is_classic_linked = true;
                    is_welcome = true;
                    reader.agree(Version::ONE);
                }
                answer
            };
            book.1.notify_all();
            if let Some(answer) = answer.take()
                && writer.send(&answer).await.is_err()
            {
                return;
            }
        }
        if writer.flush().await.is_err() {
            return;
        }
        tokio::select! {
            filled = reader.fill() => if !matches!(filled, Ok(true)) { return },
            _ = pushes.changed(), if is_welcome => {
                let payload = pushes.borrow_and_update().1.clone();
                let id = MessageId::new(push_id);
                push_id += 1;
                let push = Frame::Message { id, channel: Channel::Config, payload };
                writer.send(&push).await.unwrap();
            }
        }
    }
}

fn answer_frame(book: &mut Book, frame: Frame) -> Option<Frame> {
    Some(match frame {
        Frame::Hello(hello) => match book.hello(&hello) {
            Ok(welcome) => Frame::Welcome(welcome),
            Err(rejection) => Frame::Refused(rejection),
        },
        Frame::Goodbye => {
            book.goodbyes += 1;
            let is_free = |path: &PathBuf| LeftFile::open(path).unwrap().is_some();
            book.offline_files = find(&book.spool).iter().filter(|path| is_free(path)).count();
            return None;
        }
        Frame::Message { id, channel, payload } => {
            if book.is_silent {
                return None;
            }
            match book.take(Way::Classic, id, channel, payload) {
                Some(payload) => Frame::Reply { id, channel, payload },
                None => Frame::Ack { id },
            }
        }
        Frame::StreamOpen { id, .. } => {
            let received = book.streams.entry(id).or_default().len() as u64;
            Frame::StreamAck { id, received }
        }
        Frame::Chunk { id, channel, offset, last, data } => {
            let stream = book.streams.get_mut(&id)?;
            if offset == stream.len() as u64 {
                stream.extend_from_slice(&data);
            }
            let received = stream.len() as u64;
            match last {
                true => Frame::Reply { id, channel, payload: book.result(id, true) },
                false => Frame::StreamAck { id, received },
            }
        }
        other => panic!("{other:?}"),
    })
}

async fn serve(listener: TcpListener, book: Shared, pushes: watch::Receiver<(u64, Bytes)>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (book, pushes) = (book.clone(), pushes.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (book, pushes) = (book.clone(), pushes.clone());
                async move { Ok::<_, Infallible>(answer_request(request, &book, pushes).await) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer_request(
    request: Request<Incoming>,
    book: &Shared,
    mut pushes: watch::Receiver<(u64, Bytes)>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert!(parts.headers["host"].to_str().unwrap().starts_with("127.0.0.1:"));
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let head = RequestHead::parse(headers).unwrap();
    let path = parts.uri.path();
    if parts.method == Method::GET {
        let is_known = lock(&book.0).welcome.is_some();
        if Channel::from_path(path) == Ok(Channel::Config) && is_known {
            let after = head.after.unwrap_or(0);
            let (number, payload) = pushes.wait_for(|push| push.0 > after).await.unwrap().clone();
            let mut response = response(Answer::Taken, payload);
            response.headers_mut().insert(CURSOR_HEADER, number.into());
            return response;
        }
        std::future::pending::<()>().await;
    }
    let response = {
        let mut book = lock(&book.0);
        book.requests += 1;
        answer_post(&mut book, path, &head, body)
    };
    book.1.notify_all();
    response
}

fn answer_post(
    book: &mut Book,
    path: &str,
    head: &RequestHead,
    body: Bytes,
) -> Response<Full<Bytes>> {
    if path == HELLO_PATH {
        let hello = Hello::parse(&body).unwrap();
        let json = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        return match book.hello(&hello) {
            Ok(welcome) => response(Answer::Taken, json(welcome.to_json().text())),
            Err(it) => response(Answer::of_rejection(it.reason()), json(it.to_json().text())),
        };
    }
    if let Some(answer) = book.answers.pop() {
        if answer == Answer::Unproven {
            book.welcome = None;
        }
        return response(answer, Bytes::new());
    }
    let is_proven = book.welcome.as_ref().is_some_and(|welcome| {
        head.renderer_id == Some(welcome.renderer_id)
            && head.secret.as_ref() == Some(&welcome.secret)
    });
    if !is_proven {
        return response(Answer::Unproven, Bytes::new());
    }
    if path == GOODBYE_PATH {
        book.goodbyes += 1;
        return response(Answer::Taken, Bytes::new());
    }
    let channel = Channel::from_path(path).unwrap();
    let id = head.message_id.unwrap();
    if channel == Channel::Attachment {
        let Some(place) = head.chunk else {
            book.streams.entry(id).or_default();
            return response(Answer::Taken, book.result(id, false));
        };
        let Some(stream) = book.streams.get_mut(&id) else {
            return response(Answer::NotOpen, Bytes::new());
        };
        if place.offset != stream.len() as u64 {
            return response(Answer::OutOfPlace, book.result(id, false));
        }
        stream.extend_from_slice(&body);
        return response(Answer::Taken, book.result(id, place.last));
    }
    let reply = book.take(Way::Protocol, id, channel, body).unwrap_or_default();
    response(Answer::Taken, reply)
}

fn response(answer: Answer, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status().try_into().unwrap();
    if answer == Answer::Busy {
        response.headers_mut().insert("retry-after", 0.into());
    }
    response
}
