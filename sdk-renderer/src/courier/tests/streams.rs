//! Streams, and connections that break.

use guardhouse_process::attach::read_piece;
use guardhouse_protocol::{EventId, StreamResult};

use super::*;

/// A main that takes streams, and may forget that they are open.
struct Bucket {
    bytes: Vec<u8>,
    is_open: bool,
}

impl Bucket {
    fn take(&mut self, frame: Frame) -> Frame {
        let received = |bytes: &Vec<u8>| bytes.len() as u64;
        match frame {
            Frame::StreamOpen { id, .. } => {
                self.is_open = true;
                Frame::StreamAck { id, received: received(&self.bytes) }
            }
            Frame::Chunk { id, channel, offset, last, data } => {
                assert!(self.is_open);
                assert_eq!(offset, received(&self.bytes));
                self.bytes.extend_from_slice(&data);
                let received = received(&self.bytes);
                if last {
                    let payload = StreamResult { received, complete: true }.to_json();
                    let payload = Bytes::copy_from_slice(payload.text().as_bytes());
                    return Frame::Reply { id, channel, payload };
                }
                Frame::StreamAck { id, received }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn carry(courier: &mut Courier, bucket: &mut Bucket, mut steps: usize) {
    while steps > 0 {
        steps -= 1;
        while let Some((key, source)) = courier.poll_read() {
            courier.handle_read(key, read_piece(source));
        }
        let Some(frame) = courier.poll_stream() else { return };
        courier.handle(bucket.take(frame));
    }
}

fn stream(length: usize) -> (Courier, Vec<u8>, mpsc::Receiver<Told>) {
    let mut courier = courier();
    courier.connect(Uuid::from_u128(1), false);
    let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    let event: EventId = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
    let opening = StreamOpening::new("screen.webm", event).unwrap();
    let (answer, told) = answer();
    courier.add_stream(&opening, Box::new(std::io::Cursor::new(bytes.clone())), answer);
    (courier, bytes, told)
}

#[test]
fn a_stream_goes_on_where_main_is_after_the_connection_was_lost() {
    for length in [0, 1, 256 * 1024, 3_000_000] {
        for steps in [0, 1, 2, 5] {
            let (mut courier, bytes, told) = stream(length);
            let mut bucket = Bucket { bytes: Vec::new(), is_open: false };
            carry(&mut courier, &mut bucket, steps);
            // Something is under way, of which main gets nothing, or all without being able to say so.
            while let Some((key, source)) = courier.poll_read() {
                courier.handle_read(key, read_piece(source));
            }
            if let Some(frame) = courier.poll_stream()
                && steps % 2 == 0
            {
                bucket.take(frame);
            }
            courier.disconnect();
            assert_eq!(courier.poll_stream(), None);
            bucket.is_open = false;
            courier.connect(Uuid::from_u128(1), false);
            carry(&mut courier, &mut bucket, usize::MAX);
            assert!(bucket.bytes == bytes, "{length} bytes, {steps} steps");
            assert!(matches!(told.try_recv(), Ok(Told::Reply(_))));
        }
    }
}

#[test]
fn a_new_main_gets_a_stream_only_from_its_beginning() {
    let (mut courier, bytes, told) = stream(300_000);
    let mut bucket = Bucket { bytes: Vec::new(), is_open: false };
    carry(&mut courier, &mut bucket, 1);
    courier.connect(Uuid::from_u128(2), false);
    carry(&mut courier, &mut bucket, usize::MAX);
    assert!(bucket.bytes == bytes && matches!(told.try_recv(), Ok(Told::Reply(_))));

    let (mut courier, _, told) = stream(300_000);
    let mut bucket = Bucket { bytes: Vec::new(), is_open: false };
    carry(&mut courier, &mut bucket, 2);
    courier.connect(Uuid::from_u128(2), false);
    assert_eq!(courier.poll_stream(), None);
    assert_eq!(told.try_recv(), Ok(Told::Lost));
}

#[test]
fn a_stream_that_main_will_not_go_on_with_is_lost_and_one_that_it_does_not_want_is_declined() {
    for (steps, expected) in [(0, None), (2, Some(Told::Lost))] {
        let (mut courier, _, told) = stream(3_000_000);
        let mut bucket = Bucket { bytes: Vec::new(), is_open: false };
        carry(&mut courier, &mut bucket, steps);
        courier.disconnect();
        courier.connect(Uuid::from_u128(1), false);
        let Some(Frame::StreamOpen { id, .. }) = courier.poll_stream() else { panic!() };
        let reason = "there is no such stream".to_owned();
        courier.handle(Frame::Declined { id, reason: reason.clone() });
        assert_eq!(told.try_recv(), Ok(expected.unwrap_or(Told::Declined(reason))));
        assert!(courier.has_nothing());
    }
}

#[test]
fn only_so_many_streams_wait_for_a_main() {
    let (mut courier, _, first) = stream(10);
    courier.disconnect();
    let event: EventId = "9ec79c33ec9942ab8353589fcb2e04dc".parse().unwrap();
    let opening = StreamOpening::new("screen.webm", event).unwrap();
    let told: Vec<_> = (0..100)
        .map(|_| {
            let (answer, told) = answer();
            courier.add_stream(&opening, Box::new(std::io::empty()), answer);
            told
        })
        .collect();
    let lost = told.iter().filter(|told| told.try_recv() == Ok(Told::Lost)).count();
    assert!(first.try_recv().is_err() && (1..100).contains(&lost), "{lost}");
}
