//! The issue journal on disk: a file that only grows, beside the keys or on a medium of its own.
//!
//! ```text
//! label, 0, fingerprint of the vendor's root     once
//! length, its complement (u32, big-endian each)  for each entry
//! entry, JSON                                    so many bytes
//! hash over all entries up to this one           32 bytes
//! ```
//!
//! What was cut short at the end was never answered, and goes. Anything else that does not fit ends
//! it: a length stands there twice so that a damaged one is not taken for a cut.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::RootFp;

use crate::domain::journal::{Entry, Head, Part};

/// What the file begins with.
const LABEL: &[u8] = b"strongroom/issue-journal/v1\0";

/// Bytes in front of the first entry.
const START: u64 = LABEL.len() as u64 + 16;

/// Bytes of the longest entry: a whole body in hexadecimal, and what explains it.
const ENTRY_LEN_MAX: usize = 512 * 1024;

/// Bytes around an entry: its length twice, and the hash behind it.
const AROUND: u64 = 8 + 32;

/// Entries from one place that is known to the next.
const STRIDE: u64 = 256;

/// Bytes of entries that go into one answer.
const PART_LEN_MAX: usize = 4 * 1024 * 1024;

/// How long a signer that ends is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What a journal is written to. A simulation gives one that fails.
pub trait Medium: Send {
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;

    /// Waits until all of it is durable.
    fn sync(&mut self) -> std::io::Result<()>;

    /// Takes away what is behind so many bytes, durably.
    fn cut(&mut self, len: u64) -> std::io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> std::io::Result<()> {
        self.set_len(len).and_then(|()| self.sync_all())
    }
}

/// A journal that is written. One process has it at a time.
pub struct Journal {
    path: PathBuf,
    file: Box<dyn Medium>,
    head: Head,
    len: u64,
    /// Where every so many-th entry begins, and the hash before it.
    places: Vec<(u64, [u8; 32])>,
    /// Whether it may have bytes behind its end that could not be taken away.
    broken: bool,
}

/// Reads entries one by one.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// Behind the last entry that was read.
    at: u64,
    head: Head,
}

/// Where a vendor's journal is.
pub fn path_of(dir: &Path, vendor: &str) -> PathBuf {
    dir.join(format!("{vendor}.journal"))
}

impl Journal {
    /// Opens or begins the journal of a vendor, and shows each of its entries to `see`.
    ///
    /// # Errors
    /// Another process has it, or it is damaged.
    pub fn open(
        path: &Path,
        root_fp: RootFp,
        see: impl FnMut(&Entry) -> Result<(), Shown>,
    ) -> Result<Self, Shown> {
        Self::open_on((path, |file| Box::new(file)), root_fp, see)
    }

    /// [`Journal::open`], written through what is made of its file.
    ///
    /// # Errors
    /// The same.
    pub fn open_on(
        (path, medium): (&Path, impl FnOnce(File) -> Box<dyn Medium>),
        root_fp: RootFp,
        mut see: impl FnMut(&Entry) -> Result<(), Shown>,
    ) -> Result<Self, Shown> {
        let failed = |error: std::io::Error| Shown::io(path, &error);
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        lock(&file, path)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut file = medium(file);
        if len < START {
            // A beginning that was cut short has no entry behind it.
            file.cut(0).map_err(failed)?;
            file.append(&start(root_fp)).and_then(|()| file.sync()).map_err(failed)?;
            sync_folder(path)?;
        }
        let mut reader = Reader::open(path, root_fp)?;
        let mut places = vec![(START, Head::BEGIN.hash)];
        while let Some(entry) = reader.next_entry()? {
            see(&entry)?;
            if reader.head.number % STRIDE == 0 {
                places.push((reader.at, reader.head.hash));
            }
        }
        file.cut(reader.at).map_err(failed)?;
        let Reader { at: len, head, .. } = reader;
        Ok(Journal { path: path.to_owned(), file, head, len, places, broken: false })
    }

    /// How far it is.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Adds entries. They are durable when it returns `Ok`; none of them counts if it does not.
    ///
    /// # Errors
    /// The medium failed or is full.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Shown> {
        if self.broken {
            let title = "the journal could not be put right after its medium failed";
            return Err(Shown::conflict(title, "See to the medium, and start the signer again."));
        }
        let (mut head, mut bytes, mut places) = (self.head, Vec::new(), Vec::new());
        for entry in entries {
            let payload = serde_json::to_vec(entry).unwrap_or_default();
            if payload.is_empty() || payload.len() > ENTRY_LEN_MAX {
                let failure = ErrorCode::TooLong.with(payload.len() as u64, ENTRY_LEN_MAX as u64);
                return Err(failure.into());
            }
            head = head.next(&payload);
            let len = payload.len() as u32;
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&(!len).to_be_bytes());
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(&head.hash);
            if head.number % STRIDE == 0 {
                places.push((self.len + bytes.len() as u64, head.hash));
            }
        }
        let written = self.file.append(&bytes).and_then(|()| self.file.sync());
        if let Err(error) = written {
            // What was not synced may be there or not, and the next entry must not follow it.
            self.broken = self.file.cut(self.len).is_err();
            return Err(Shown::io(&self.path, &error));
        }
        self.head = head;
        self.len += bytes.len() as u64;
        self.places.extend(places);
        Ok(())
    }

    /// Some entries behind number `after`.
    ///
    /// # Errors
    /// It ends before `after`, or cannot be read.
    pub fn part(&self, after: u64) -> Result<Part, Shown> {
        if after > self.head.number {
            return Err(ErrorCode::JournalBehind.with(self.head.number, after).into());
        }
        // A place for each stride was noted when it was passed.
        let (at, hash) = self.places[(after / STRIDE) as usize];
        let head = Head { number: after / STRIDE * STRIDE, hash };
        let mut reader = Reader::at(&self.path, at, head)?;
        while reader.head.number < after {
            reader.next_entry()?;
        }
        let (before, from) = (reader.head.hash, reader.at);
        let mut entries = Vec::new();
        while reader.head.number < self.head.number && reader.at - from < PART_LEN_MAX as u64 {
            let Some(entry) = reader.next_entry()? else { break };
            entries.push(entry);
        }
        Ok(Part { before, entries })
    }
}

impl Reader {
    /// From the first entry of a vendor's journal on. It need not be the process that writes.
    ///
    /// # Errors
    /// It is none of this vendor.
    pub fn open(path: &Path, root_fp: RootFp) -> Result<Self, Shown> {
        let mut reader = Self::at(path, 0, Head::BEGIN)?;
        let mut found = [0; START as usize];
        let read = reader.file.read_exact(&mut found);
        if read.is_err() || found[..] != start(root_fp)[..] {
            let title = format!("{} is no journal of this vendor", path.display());
            return Err(Shown::conflict(title, "Put the vendor's own back."));
        }
        reader.at = START;
        Ok(reader)
    }

    fn at(path: &Path, at: u64, head: Head) -> Result<Self, Shown> {
        let failed = |error: std::io::Error| Shown::io(path, &error);
        let mut file = File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        Ok(Reader { path: path.to_owned(), file: BufReader::new(file), at, head })
    }

    /// How far it has read.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The next entry; none at the end, or where the last one is cut short.
    ///
    /// # Errors
    /// It is damaged.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Shown> {
        let mut lens = [0; 8];
        if !self.fill(&mut lens)? {
            return Ok(None);
        }
        let [len, complement] = [0, 4]
            .map(|at| u32::from_be_bytes([lens[at], lens[at + 1], lens[at + 2], lens[at + 3]]));
        if len != !complement || len as usize > ENTRY_LEN_MAX {
            return Err(self.damaged("its length"));
        }
        let mut payload = vec![0; len as usize];
        let mut hash = [0; 32];
        if !self.fill(&mut payload)? || !self.fill(&mut hash)? {
            return Ok(None);
        }
        let head = self.head.next(&payload);
        if head.hash != hash {
            return Err(self.damaged("its hash"));
        }
        let entry: Entry =
            serde_json::from_slice(&payload).map_err(|error| self.damaged(&error.to_string()))?;
        if entry.number != head.number {
            return Err(self.damaged("its number"));
        }
        self.head = head;
        self.at += u64::from(len) + AROUND;
        Ok(Some(entry))
    }

    /// Whether so many bytes were there.
    fn fill(&mut self, out: &mut [u8]) -> Result<bool, Shown> {
        match self.file.read_exact(out) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(Shown::io(&self.path, &error)),
        }
    }

    fn damaged(&self, why: &str) -> Shown {
        let failure = Shown::from(ErrorCode::JournalDamaged.with(self.at, 0));
        failure.about(self.path.display()).detailed(why)
    }
}

fn start(root_fp: RootFp) -> Vec<u8> {
    [LABEL, root_fp.bytes()].concat()
}

/// Takes the journal for this process. One that is just ending has a moment to do so.
fn lock(file: &File, path: &Path) -> Result<(), Shown> {
    let failed = |error: std::io::Error| Shown::io(path, &error);
    // Of the same open file: the lock is this one's too.
    let own = file.try_clone().map_err(failed)?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Nobody hears it any more where it took too long.
        let _ = tell.send(own.lock());
    });
    match told.recv_timeout(LOCK_WAIT) {
        Ok(locked) => locked.map_err(failed),
        Err(_) => {
            let title = format!("another signer has {}", path.display());
            let hint = "Run one signer, and name its socket to each server: --signer.";
            Err(Shown::conflict(title, hint))
        }
    }
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> Result<(), Shown> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Shown::io(folder, &error))
}
