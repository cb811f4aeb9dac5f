//! How an offline file is written: a header, then records.
//!
//! A record is the length of its body, the checksum of its body, and the body: a byte that says what it
//! is, and what that needs. Numbers are little-endian.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::json::{Object, ObjectWriter, Value};
use guardhouse_protocol::limits::{ENVELOPE_MESSAGE_BYTES, KIB, MIB};
use guardhouse_protocol::{Channel, RunId};
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"ghofflin";

/// The version of the format.
const VERSION: u32 = 1;

/// Length of the header: the magic number and the version.
pub(super) const HEADER_BYTES: usize = 12;

/// Length of what stands in front of the body of a record.
pub(super) const RECORD_BYTES: usize = 8;

/// Maximum length of the body of a record.
const BODY_BYTES: usize = ENVELOPE_MESSAGE_BYTES + 4 * MIB;

/// Who writes a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// What people call the process.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

/// What is said in a file, after who writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// From here on, messages were captured in this run of main.
    Run(RunId),
    /// From here on, main calls the writer so. Ids that were [said](Entry::Sent) before mean nothing to
    /// this main.
    Renderer(Uuid),
    /// A message for main.
    Message {
        /// Its place among everything that the writer has captured.
        order: u64,
        /// What it is.
        channel: Channel,
        /// The message itself.
        payload: Bytes,
    },
    /// Messages are about to be said to main, each by its order and the id under which main will know
    /// it.
    Sent(Vec<(u64, MessageId)>),
    /// Main has acknowledged the messages with these orders, or they were counted as lost.
    Taken(Vec<u64>),
}

/// What a record holds, to be written.
pub(super) enum Body<'a> {
    Writer(&'a Writer),
    Entry(&'a Entry),
}

const WRITER: u8 = 1;
const RUN: u8 = 2;
const RENDERER: u8 = 3;
const MESSAGE: u8 = 4;
const SENT: u8 = 5;
const TAKEN: u8 = 6;

pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

impl Body<'_> {
    /// How long it is. What a writer says of itself is counted when it is written.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Writer(_) => 0,
            Self::Entry(Entry::Run(_)) => 1 + 8,
            Self::Entry(Entry::Renderer(_)) => 1 + 16,
            Self::Entry(Entry::Message { payload, .. }) => 1 + 8 + 1 + payload.len(),
            Self::Entry(Entry::Sent(pairs)) => 1 + 16 * pairs.len(),
            Self::Entry(Entry::Taken(orders)) => 1 + 8 * orders.len(),
        }
    }

    /// Adds a whole record.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; RECORD_BYTES]);
        match self {
            Self::Writer(Writer { name, pid }) => {
                out.push(WRITER);
                let mut json = ObjectWriter::new();
                json.member("name", name.as_str()).member("pid", u64::from(*pid));
                out.extend_from_slice(json.finish().text().as_bytes());
            }
            Self::Entry(Entry::Run(run)) => {
                out.push(RUN);
                out.extend_from_slice(&run.number().to_le_bytes());
            }
            Self::Entry(Entry::Renderer(id)) => {
                out.push(RENDERER);
                out.extend_from_slice(id.as_bytes());
            }
            Self::Entry(Entry::Message { order, channel, payload }) => {
                out.push(MESSAGE);
                out.extend_from_slice(&order.to_le_bytes());
                out.push(channel.code());
                out.extend_from_slice(payload);
            }
            Self::Entry(Entry::Sent(pairs)) => {
                out.push(SENT);
                for (order, id) in pairs {
                    out.extend_from_slice(&order.to_le_bytes());
                    out.extend_from_slice(&id.number().to_le_bytes());
                }
            }
            Self::Entry(Entry::Taken(orders)) => {
                out.push(TAKEN);
                orders.iter().for_each(|order| out.extend_from_slice(&order.to_le_bytes()));
            }
        }
        let body = &out[begin + RECORD_BYTES..];
        // Its parts are bounded, so the length fits.
        let length = (body.len() as u32).to_le_bytes();
        let checksum = crc32fast::hash(body).to_le_bytes();
        out[begin..begin + 4].copy_from_slice(&length);
        out[begin + 4..begin + 8].copy_from_slice(&checksum);
    }
}

/// Reads the header.
pub(super) fn read_header(file: &mut impl Read) -> io::Result<()> {
    let mut read = [0; HEADER_BYTES];
    file.read_exact(&mut read).map_err(|_| invalid("it is no offline file"))?;
    if read == header() { Ok(()) } else { Err(invalid("it is no offline file of this version")) }
}

/// The length of the body of a record.
pub(super) fn body_length(head: &[u8; RECORD_BYTES]) -> io::Result<usize> {
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if (1..=BODY_BYTES).contains(&length) {
        Ok(length)
    } else {
        Err(invalid("a record has a length that none has"))
    }
}

/// Reads the body of a record; one that does not have its checksum is an error
/// ([`io::ErrorKind::InvalidData`]), and the file is behind it then.
pub(super) fn read_body(file: &mut impl Read, head: &[u8; RECORD_BYTES]) -> io::Result<Bytes> {
    let length = body_length(head)?;
    let mut body = Vec::new();
    body.try_reserve_exact(length)?;
    // Never more than was reserved, and never more than there is.
    if file.take(length as u64).read_to_end(&mut body)? < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    if crc32fast::hash(&body).to_le_bytes() == head[4..] {
        Ok(body.into())
    } else {
        Err(invalid("a record is damaged"))
    }
}

/// What the body of a record says; nothing if it is of a kind that this version does not know.
pub(super) fn parse(mut body: Bytes) -> io::Result<Option<Entry>> {
    let short = |_| invalid("a record is too short");
    Ok(Some(match body.try_get_u8().map_err(short)? {
        RUN => Entry::Run(RunId::new(body.try_get_u64_le().map_err(short)?)),
        RENDERER => {
            let id = <[u8; 16]>::try_from(&*body).map_err(|_| invalid("it is no id"))?;
            Entry::Renderer(Uuid::from_bytes(id))
        }
        MESSAGE => {
            let order = body.try_get_u64_le().map_err(short)?;
            let channel = Channel::from_code(body.try_get_u8().map_err(short)?);
            let Ok(channel) = channel else { return Ok(None) };
            Entry::Message { order, channel, payload: body }
        }
        SENT => {
            let mut pairs = Vec::new();
            while body.has_remaining() {
                let order = body.try_get_u64_le().map_err(short)?;
                pairs.push((order, MessageId::new(body.try_get_u64_le().map_err(short)?)));
            }
            Entry::Sent(pairs)
        }
        TAKEN => {
            let mut orders = Vec::new();
            while body.has_remaining() {
                orders.push(body.try_get_u64_le().map_err(short)?);
            }
            Entry::Taken(orders)
        }
        _ => return Ok(None),
    }))
}

/// Reads who writes the file.
pub(super) fn read_writer(file: &mut impl Read) -> io::Result<Writer> {
    let nobody = || invalid("it does not say whose it is");
    let mut head = [0; RECORD_BYTES];
    file.read_exact(&mut head).map_err(|_| nobody())?;
    if body_length(&head)? > 4 * KIB {
        return Err(nobody());
    }
    let body = read_body(file, &head).map_err(|_| nobody())?;
    let json = body.strip_prefix(&[WRITER]).and_then(|json| Object::parse(json).ok());
    let json = json.ok_or_else(nobody)?;
    let name = json.get("name").and_then(Value::as_str).ok_or_else(nobody)?.into_owned();
    let pid = json.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    Ok(Writer { name, pid: pid.ok_or_else(nobody)? })
}

/// Whether the body of a record that begins with this byte is a message.
pub(super) const fn is_message(kind: u8) -> bool {
    kind == MESSAGE
}

pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
