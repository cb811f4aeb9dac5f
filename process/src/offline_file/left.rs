//! What a process has left, for the main that takes it.
//!
//! Everything in the file is hostile input: a program of the same user may have written it. It is read
//! record by record, so that no more than one message is in memory.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use guardhouse_protocol::frame::MessageId;
use guardhouse_protocol::{Channel, RunId};
use uuid::Uuid;

use super::record::{self, Body, Entry, RECORD_BYTES, Writer, invalid};
use super::{LockedFile, MARKS_BYTES, OFFLINE, OFFLINE_BYTES};

/// Maximum number of messages of which it is remembered what became of them. A file of this length has
/// no more that are worth a report.
const MOST_MARKS: usize = 512 * 1024;

/// The file of a process that is gone. Until it is dropped, nobody else takes it.
#[derive(Debug)]
pub struct LeftFile {
    path: PathBuf,
    file: BufReader<io::Take<LockedFile>>,
    writer: Writer,
    marks: Marks,
    /// Where what is whole in it ends.
    end: u64,
    run: Option<RunId>,
    is_damaged: bool,
}

/// A message that main may not have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// In which run of main it was captured, if that is known.
    pub run: Option<RunId>,
    /// Its place among everything that its process has captured.
    pub order: u64,
    /// The id under which it was said to the main that knows its process as
    /// [`renderer`](LeftFile::renderer), if it was.
    pub id: Option<MessageId>,
    /// What it is.
    pub channel: Channel,
    /// The message itself.
    pub payload: Bytes,
}

/// What became of messages.
#[derive(Debug, Default)]
struct Marks {
    renderer: Option<Uuid>,
    /// Under which ids they were said to this main.
    sent: HashMap<u64, MessageId>,
    taken: HashSet<u64>,
}

impl LeftFile {
    /// Opens what a process has left; nothing if it lives, or if somebody else takes it.
    ///
    /// What is no file of this kind and version is an error ([`io::ErrorKind::InvalidData`]).
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = LockedFile::open(path, OpenOptions::new().read(true).write(true))? else {
            return Ok(None);
        };
        if !path.exists() {
            // Somebody has taken it between the opening and the lock.
            return Ok(None);
        }
        let mut file = BufReader::new(file.take(OFFLINE_BYTES + MARKS_BYTES));
        record::read_header(&mut file)?;
        let writer = record::read_writer(&mut file)?;
        let begin =
            OFFLINE_BYTES + MARKS_BYTES - file.get_ref().limit() - file.buffer().len() as u64;
        // What became of a message stands behind it.
        let (marks, length) = Marks::read(&mut file)?;
        let end = begin + length;
        let mut file = file.into_inner().into_inner();
        file.seek(SeekFrom::Start(begin))?;
        // What is torn is not read.
        let is_damaged = file.0.file().metadata()?.len() > end;
        let file = BufReader::new(file.take(end - begin));
        let path = path.to_owned();
        Ok(Some(Self { path, file, writer, marks, end, run: None, is_damaged }))
    }

    /// What people called the process.
    pub fn name(&self) -> &str {
        &self.writer.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.writer.pid
    }

    /// How the last main that it was connected to called it.
    pub fn renderer(&self) -> Option<Uuid> {
        self.marks.renderer
    }

    /// The next message that no main has acknowledged; nothing at the end.
    pub fn next_message(&mut self) -> io::Result<Option<Left>> {
        loop {
            let mut head = [0; RECORD_BYTES];
            match fill(&mut self.file, &mut head)? {
                0 => return Ok(None),
                RECORD_BYTES => {}
                _ => return Ok(self.torn()),
            }
            let body = match record::read_body(&mut self.file, &head) {
                Ok(body) => body,
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof => return Ok(self.torn()),
                    // If it has a length, what comes behind it may be whole.
                    io::ErrorKind::InvalidData if record::body_length(&head).is_ok() => {
                        self.is_damaged = true;
                        continue;
                    }
                    io::ErrorKind::InvalidData => return Ok(self.torn()),
                    _ => return Err(error),
                },
            };
            match record::parse(body) {
                Ok(Some(Entry::Run(run))) => self.run = Some(run),
                Ok(Some(Entry::Message { order, channel, payload })) => {
                    // The scope holds for what comes behind it, whatever main has taken.
                    if channel == Channel::Scope || !self.marks.taken.contains(&order) {
                        let id = self.marks.sent.get(&order).copied();
                        return Ok(Some(Left { run: self.run, order, id, channel, payload }));
                    }
                }
                Ok(_) => {}
                Err(_) => self.is_damaged = true,
            }
        }
    }

    /// Writes down that messages with these orders are taken, so that nobody takes them again who finds
    /// the file. If the disk does not take that, somebody may.
    pub fn taken(&mut self, orders: Vec<u64>) {
        let mut record = Vec::new();
        Body::Entry(&Entry::Taken(orders)).write(&mut record);
        let file = self.file.get_mut().get_mut();
        let added = file.stream_position().and_then(|at| {
            // What is torn would hide what comes behind it.
            file.0.file().set_len(self.end)?;
            file.seek(SeekFrom::Start(self.end))?;
            let written = file.write_all(&record);
            file.seek(SeekFrom::Start(at))?;
            written
        });
        if added.is_ok() {
            self.end += record.len() as u64;
        } else {
            let _ = self.file.get_ref().get_ref().0.file().set_len(self.end);
        }
    }

    /// Whether something of what was read so far was torn or damaged.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Takes the file away: everything is taken.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    fn torn(&mut self) -> Option<Left> {
        self.is_damaged = true;
        None
    }
}

impl Marks {
    /// Reads what became of messages, without the messages. Says how long the whole records are.
    fn read(file: &mut BufReader<io::Take<LockedFile>>) -> io::Result<(Self, u64)> {
        let (mut marks, mut end) = (Self::default(), 0);
        let mut head = [0; RECORD_BYTES];
        while fill(file, &mut head)? == RECORD_BYTES {
            let Ok(length) = record::body_length(&head) else { break };
            // The kind is the first byte of the body.
            let is_message = matches!(peek(file)?, Some(kind) if record::is_message(kind));
            if is_message {
                if !skip(file, length as u64)? {
                    break;
                }
                end += (RECORD_BYTES + length) as u64;
                continue;
            }
            match record::read_body(file, &head) {
                Ok(body) => marks.add(record::parse(body).ok().flatten())?,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
            end += (RECORD_BYTES + length) as u64;
        }
        Ok((marks, end))
    }

    fn add(&mut self, entry: Option<Entry>) -> io::Result<()> {
        match entry {
            Some(Entry::Renderer(id)) => {
                self.renderer = Some(id);
                self.sent.clear();
            }
            Some(Entry::Sent(pairs)) => self.sent.extend(pairs),
            Some(Entry::Taken(orders)) => self.taken.extend(orders),
            _ => {}
        }
        if self.sent.len() > MOST_MARKS || self.taken.len() > MOST_MARKS {
            return Err(invalid("it says more of its messages than it can have"));
        }
        Ok(())
    }
}

/// All files that processes have left in a directory, or are writing.
pub fn find(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|it| it == OFFLINE)).collect()
}

/// Fills a buffer as far as the file goes, and says how far that is.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The next byte, which stays where it is.
fn peek(file: &mut impl io::BufRead) -> io::Result<Option<u8>> {
    Ok(file.fill_buf()?.first().copied())
}

/// Goes on behind so many bytes, or says that there are not so many.
fn skip(file: &mut BufReader<io::Take<LockedFile>>, length: u64) -> io::Result<bool> {
    Ok(io::copy(&mut file.take(length), &mut io::sink())? == length)
}
