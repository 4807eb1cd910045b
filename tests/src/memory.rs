//! Looks for secrets in this process's own memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A secret that this process must not hold: kept masked, so that a search does not find itself.
#[derive(Clone)]
pub struct Needle {
    /// What it is.
    pub name: String,
    masked: [u8; 32],
}

const MASK: u8 = 0xa5;
const CHUNK_LEN: usize = 1 << 16;

impl Needle {
    /// Takes a secret that is masked already: each byte xor 0xa5.
    pub fn masked(name: &str, masked: [u8; 32]) -> Self {
        Needle { name: name.into(), masked }
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window.iter().zip(&self.masked).all(|(byte, masked)| byte ^ MASK == *masked)
    }
}

/// A secret in its masked form.
pub fn mask(secret: &[u8; 32]) -> [u8; 32] {
    secret.map(|byte| byte ^ MASK)
}

/// A place where a secret was found: its name, the address, and what is mapped there.
pub type Hit = (String, u64, String);

/// All places of this process's memory where one of the secrets stands.
///
/// # Errors
/// The system does not show a process its own memory.
pub fn search(needles: &[Needle]) -> io::Result<Vec<Hit>> {
    let memory = File::open("/proc/self/mem")?;
    let mut hits = Vec::new();
    // Two halves: a secret across two chunks is found where the later one is searched.
    let mut buffer = vec![0; 32 + CHUNK_LEN];
    for line in std::fs::read_to_string("/proc/self/maps")?.lines() {
        let Some((start, end)) = readable(line) else { continue };
        buffer[..32].fill(0);
        for at in (start..end).step_by(CHUNK_LEN) {
            let len = CHUNK_LEN.min((end - at) as usize);
            if memory.read_exact_at(&mut buffer[32..32 + len], at).is_err() {
                break;
            }
            for (i, window) in buffer[..32 + len].windows(32).enumerate() {
                for needle in needles.iter().filter(|needle| needle.is_at(window)) {
                    hits.push((needle.name.clone(), at + i as u64 - 32, line.into()));
                }
            }
            buffer.copy_within(len..32 + len, 0);
        }
    }
    Ok(hits)
}

/// Bounds of a mapping that can be read and is memory of the process.
fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let is_kernels = rest.contains("[vvar") || rest.contains("[vsyscall");
    if !rest.starts_with('r') || is_kernels {
        return None;
    }
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}
