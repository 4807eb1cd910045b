//! The stack as the kernel made it: arguments, environment, auxiliary vector. Edited in place.

use std::ffi::CStr;

use linux_raw_sys::auxvec::{AT_NULL, AT_RANDOM};

use crate::resident::sys;

/// The initial stack. There is one, and it outlives the loader.
#[derive(Debug)]
pub struct InitialStack {
    argc: *mut usize,
}

/// Where strings and vectors lie, as the kernel notes it for `/proc`.
#[derive(Debug, Clone, Copy)]
pub struct Strings {
    /// The arguments, first byte and end.
    pub args: (usize, usize),
    /// The environment, first byte and end.
    pub env: (usize, usize),
}

impl InitialStack {
    /// Finds it from the argument vector.
    ///
    /// # Safety
    /// `argv` must be the vector that the kernel made, with `argc` before it, and nobody else may
    /// use it.
    pub unsafe fn from_argv(argv: *mut usize) -> Self {
        Self { argc: argv.wrapping_sub(1) }
    }

    /// The address that the program's stack pointer gets.
    pub fn pointer(&self) -> usize {
        self.argc as usize
    }

    /// The arguments.
    pub fn args(&self) -> impl Iterator<Item = &CStr> {
        strings(self.argc.wrapping_add(1))
    }

    /// The environment's entries.
    pub fn env(&self) -> impl Iterator<Item = &CStr> {
        strings(self.env_start())
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = |entry: &'_ CStr| -> Option<usize> {
            let rest = entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(entry.to_bytes().len() - rest.len())
        };
        self.env()
            .find_map(|entry| entry.to_bytes().get(value(entry)?..).map(std::str::from_utf8)?.ok())
    }

    /// A value of the auxiliary vector.
    pub fn aux(&self, tag: u32) -> Option<usize> {
        // SAFETY: the pair stands in the auxiliary vector.
        self.aux_pair(tag).map(|pair| unsafe { pair.wrapping_add(1).read() })
    }

    /// Changes a value of the auxiliary vector; one that is not there stays away.
    pub fn set_aux(&mut self, tag: u32, value: usize) {
        if let Some(pair) = self.aux_pair(tag) {
            // SAFETY: the pair stands in the auxiliary vector, which the loader's C library has
            // read already.
            unsafe { pair.wrapping_add(1).write(value) };
        }
    }

    /// The auxiliary vector, first byte and length.
    pub fn aux_bytes(&self) -> (usize, usize) {
        let start = self.aux_start();
        let pairs = self.aux_len();
        (start as usize, pairs * 2 * size_of::<usize>())
    }

    /// Puts fresh random bytes where the program looks for its stack protector's secret.
    pub fn refresh_random(&mut self) -> sys::Result<()> {
        let Some(at) = self.aux(AT_RANDOM) else { return Ok(()) };
        let mut fresh = [0u8; 16];
        sys::random(&mut fresh)?;
        // SAFETY: the kernel reserves 16 bytes there; the loader's C library has copied what it
        // uses.
        unsafe { (at as *mut [u8; 16]).write(fresh) };
        Ok(())
    }

    /// Drops the entries for which `unwanted` holds. The auxiliary vector moves down behind the
    /// shorter environment; `argc` stays, so that the stack pointer keeps its alignment.
    pub fn drop_env(&mut self, unwanted: impl Fn(&[u8]) -> bool) {
        let start = self.env_start();
        let entries: Vec<usize> = words(start).collect();
        let kept: Vec<usize> =
            entries.iter().copied().filter(|&entry| !unwanted(string(&entry).to_bytes())).collect();
        if kept.len() == entries.len() {
            return;
        }
        let (aux, aux_words) = (self.aux_start(), self.aux_len() * 2);
        // SAFETY: fewer words are written than stood there; the vector is moved with overlap in
        // mind.
        unsafe {
            start.copy_from_nonoverlapping(kept.as_ptr(), kept.len());
            start.wrapping_add(kept.len()).write(0);
            start.wrapping_add(kept.len() + 1).copy_from(aux, aux_words);
        }
    }

    /// Where the strings lie, before entries are dropped.
    pub fn strings(&self) -> Strings {
        let end = |last: Option<&CStr>, start: usize| {
            last.map_or(start, |s| s.as_ptr() as usize + s.to_bytes_with_nul().len())
        };
        let args = self.args().next().map_or(self.pointer(), |s| s.as_ptr() as usize);
        let args_end = end(self.args().last(), args);
        let env = self.env().next().map_or(args_end, |s| s.as_ptr() as usize);
        Strings { args: (args, args_end), env: (env, end(self.env().last(), env)) }
    }

    fn env_start(&self) -> *mut usize {
        let args = words(self.argc.wrapping_add(1)).count();
        self.argc.wrapping_add(args + 2)
    }

    fn aux_start(&self) -> *mut usize {
        let start = self.env_start();
        start.wrapping_add(words(start).count() + 1)
    }

    /// Pairs of the auxiliary vector, the last one included.
    fn aux_len(&self) -> usize {
        let start = self.aux_start();
        // SAFETY: the vector's pairs go on until AT_NULL.
        let tag = |pair: usize| unsafe { start.wrapping_add(pair * 2).read() };
        (0..).take_while(|&pair| tag(pair) != AT_NULL as usize).count() + 1
    }

    fn aux_pair(&self, tag: u32) -> Option<*mut usize> {
        let start = self.aux_start();
        let pairs = (0..self.aux_len()).map(|pair| start.wrapping_add(pair * 2));
        // SAFETY: these pairs stand in the vector.
        pairs.into_iter().find(|pair| unsafe { pair.read() } == tag as usize)
    }
}

/// The words of a vector that ends in zero.
fn words(start: *mut usize) -> impl Iterator<Item = usize> {
    // SAFETY: arguments and environment each end in a null pointer.
    (0..).map(move |at| unsafe { start.wrapping_add(at).read() }).take_while(|&word| word != 0)
}

fn strings<'a>(start: *mut usize) -> impl Iterator<Item = &'a CStr> {
    // SAFETY: each word is the address of a string on the initial stack, which outlives everything.
    words(start).map(|word| unsafe { CStr::from_ptr(word as *const _) })
}

fn string(word: &usize) -> &CStr {
    // SAFETY: the word is the address of a string on the initial stack.
    unsafe { CStr::from_ptr(*word as *const _) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::auxvec::{AT_BASE, AT_ENTRY};

    /// A stack with two arguments, `env`, and an auxiliary vector.
    fn made(env: &[&'static CStr]) -> Vec<usize> {
        let mut words = vec![2, c"prog".as_ptr() as usize, c"x".as_ptr() as usize, 0];
        words.extend(env.iter().map(|entry| entry.as_ptr() as usize));
        words.push(0);
        words.extend([AT_ENTRY as usize, 7, AT_BASE as usize, 8, 0, 0]);
        words
    }

    fn over(words: &mut [usize]) -> InitialStack {
        // SAFETY: the words are laid out as the kernel does.
        unsafe { InitialStack::from_argv(words.as_mut_ptr().wrapping_add(1)) }
    }

    #[test]
    fn dropping_moves_the_vector_down_and_keeps_the_rest() {
        for (env, left) in [
            (&[c"A=1", c"LD_PRELOAD=x", c"B=2"][..], 2),
            (&[c"LD_PRELOAD=x", c"A=1", c"LD_PRELOAD=y", c"B=2"][..], 2),
            (&[c"A=1", c"B=2"][..], 2),
            (&[c"LD_PRELOAD=x"][..], 0),
        ] {
            let mut words = made(env);
            let mut stack = over(&mut words);
            let before = stack.pointer();
            stack.drop_env(|entry| entry.starts_with(b"LD_PRELOAD="));
            assert_eq!(stack.pointer(), before);
            assert_eq!(stack.args().count(), 2);
            assert_eq!(stack.env().count(), left);
            assert_eq!(stack.variable("LD_PRELOAD"), None);
            assert_eq!(stack.variable("B").is_some(), left == 2);
            assert_eq!((stack.aux(AT_ENTRY), stack.aux(AT_BASE)), (Some(7), Some(8)));
            assert_eq!(stack.aux_bytes().1, 48);
        }
    }

    #[test]
    fn sets_what_is_there_and_nothing_else() {
        let mut words = made(&[c"A=1"]);
        let mut stack = over(&mut words);
        stack.set_aux(AT_BASE, 99);
        stack.set_aux(AT_RANDOM, 1);
        assert_eq!((stack.aux(AT_BASE), stack.aux(AT_RANDOM)), (Some(99), None));
    }

    #[test]
    fn random_bytes_are_fresh() {
        let mut bytes = [0u8; 16];
        let mut words = made(&[]);
        let at = words.len() - 6;
        words[at] = AT_RANDOM as usize;
        words[at + 1] = bytes.as_mut_ptr() as usize;
        over(&mut words).refresh_random().expect("the kernel has random bytes");
        assert_ne!(std::hint::black_box(bytes), [0; 16]);
    }
}
