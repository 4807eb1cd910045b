//! Flash cells in a file: what stands in it is what a killed simulator finds again.
//!
//! Every word programmed and every block erased is one `pwrite` into the file of cells, made before
//! the call returns; nothing is buffered in the process. So a process killed at any moment has lost
//! power between two writes, or inside one, which the formats on flash are made for. Not promised:
//! that the file survives a crash of the whole machine; nothing is synced to disk. The counts of
//! erases stand in a file beside it, `<name>.wear`, and may lack the last erase. One process at a
//! time: the caller sees to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The two files of a chip.
pub(crate) struct Backing {
    cells: File,
    wear: File,
}

impl Backing {
    /// Opens or makes the files and fills cells and counts from them.
    pub(crate) fn open(path: &Path, cells: &mut [u8], erases: &mut [u32]) -> io::Result<Self> {
        let mut wear_name = path.as_os_str().to_owned();
        wear_name.push(".wear");
        let mut counts: Vec<u8> = erases.iter().flat_map(|count| count.to_le_bytes()).collect();
        let wear = load(Path::new(&wear_name), &mut counts)?;
        for (count, bytes) in erases.iter_mut().zip(counts.chunks_exact(4)) {
            // Chunks of four bytes.
            *count = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(Self { cells: load(path, cells)?, wear })
    }

    pub(crate) fn save_cells(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.cells.write_all_at(bytes, at as u64)
    }

    pub(crate) fn save_erases(&self, block: usize, erases: u32) -> io::Result<()> {
        self.wear.write_all_at(&erases.to_le_bytes(), block as u64 * 4)
    }
}

/// Reads a file into `content`, or makes it with `content`. It appears under its name only when
/// whole.
fn load(path: &Path, content: &mut [u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.open(path) {
        Ok(file) => {
            if file.metadata()?.len() != content.len() as u64 {
                let reason = format!("{} is not {} bytes long", path.display(), content.len());
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            file.read_exact_at(content, 0)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut new_name = path.as_os_str().to_owned();
            new_name.push(".new");
            let new_name = Path::new(&new_name);
            let file = options.create(true).truncate(true).open(new_name)?;
            file.write_all_at(content, 0)?;
            std::fs::rename(new_name, path)?;
            Ok(file)
        }
        Err(error) => Err(error),
    }
}
