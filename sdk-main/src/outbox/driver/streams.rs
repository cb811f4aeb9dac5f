//! Attachments that come in pieces, until they are entries.

use std::time::{Instant, SystemTime};

use guardhouse_protocol::StreamOpening;

use super::{Outbox, Put, Queued};
use crate::losses::{Category, Reason};
use crate::outbox::Priority;
use crate::outbox::spool::{Placed, StreamError, StreamId};
use crate::streams::Store;

impl Store for Outbox {
    fn begin(&mut self, opening: &StreamOpening) -> Result<StreamId, StreamError> {
        let begun = self.spool.begin_stream(opening);
        self.tell_stream(begun)
    }

    fn grow(&mut self, stream: StreamId, bytes: &[u8]) -> Result<(), StreamError> {
        let grown = self.spool.grow_stream(stream, bytes);
        self.tell_stream(grown).map(drop)
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        let finished = self.spool.finish_stream(stream, SystemTime::now());
        let id = self.tell_stream(finished)?;
        let put = Put { placed: Placed::Disk(id), evicted: Vec::new() };
        let queued = |id| Queued::of_categories(id, Priority::Normal, &[Category::Attachment]);
        self.took(put, queued, None, || "large attachment".to_owned());
        Ok(())
    }

    fn lose(&mut self, stream: StreamId, reason: Reason) {
        self.spool.lose_stream(stream, reason);
        self.tell_losses(Instant::now());
    }

    fn leave(&mut self, stream: StreamId) {
        self.spool.drop_stream(stream);
    }
}

impl Outbox {
    fn tell_stream<T>(&mut self, result: Result<T, StreamError>) -> Result<T, StreamError> {
        if let Err(error) = &result {
            self.house.say(format_args!("an attachment was dropped: {error}"));
            self.tell_losses(Instant::now());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use guardhouse_protocol::frame::Proof;
    use guardhouse_protocol::{Envelope, Namespace};

    use super::*;
    use crate::house::House;
    use crate::losses::Losses;
    use crate::outbox::http::{HttpOptions, Proxies, Target};
    use crate::outbox::spool::{Limits, Spool};

    /// Takes one envelope, as Sentry would.
    fn take(stream: TcpStream) -> Envelope {
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let line = line.to_ascii_lowercase();
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.get_mut().write_all(answer).unwrap();
        Envelope::parse(body).unwrap()
    }

    #[test]
    fn what_is_finished_is_sent_and_leaves_the_disk() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dsn = format!("http://key@{}/1", listener.local_addr().unwrap());
        let sentry = std::thread::spawn(move || take(listener.accept().unwrap().0));
        let cache = std::env::temp_dir().join(format!("guardhouse-{}", uuid::Uuid::new_v4()));
        let spool = Spool::open(&cache, Limits::default()).unwrap();
        let target = Target::dsn(&dsn.parse().unwrap()).unwrap();
        let options = HttpOptions::new(target).proxies(Proxies::none());
        let house = {
            let gate = (&Namespace::DEFAULT, Proof::new([0; 32]));
            House::new(false, 100, None, Vec::new(), gate)
        };
        let mut outbox = Outbox::new(house, spool, options, None, 1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let event = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
            let opening = StreamOpening::new("log.txt", event).unwrap();
            let gone = outbox.begin(&opening).unwrap();
            outbox.leave(gone);
            let stream = outbox.begin(&opening).unwrap();
            outbox.grow(stream, b"one\n").unwrap();
            outbox.grow(stream, b"two\n").unwrap();
            assert_eq!(outbox.newest(), None);
            outbox.finish(stream).unwrap();
            assert!(outbox.newest().is_some());
            // A report goes with it, behind bytes that look like the end of an item.
            let mut losses = Losses::new();
            losses.count(Category::Error, Reason::BeforeSend, 1);
            outbox.count(&losses);
            while !outbox.has_adopted() {
                outbox.step(true);
            }
            outbox.release_held();
            outbox.step(true);
            outbox.sent().await;
            assert!(outbox.has_sent_all(Instant::now()));
            assert_eq!(outbox.spool().entries().count(), 0);
            outbox.close();
        });
        let envelope = sentry.join().unwrap();
        let items: Vec<_> = envelope.items().iter().map(|item| &item.payload()[..]).collect();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0], b"one\ntwo\n");
        assert!(envelope.header().event_id().is_some());
        let _ = std::fs::remove_dir_all(cache);
    }
}
