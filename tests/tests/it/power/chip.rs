//! A chip that takes a picture of itself for every power cut that could hit a write.

use std::cell::RefCell;
use std::rc::Rc;

use engine::journal::{Flash, FlashError, Geometry, WriteKind};
use firmware_sim::flash::{FlashImage, SimFlash, TornMode};

/// What a cut would leave.
pub(super) struct Cut {
    pub(super) kind: WriteKind,
    pub(super) torn: TornMode,
    pub(super) image: FlashImage,
}

/// Passes everything on to a simulated chip. While it traces, each word and each erase is first cut
/// and then done: cut in the middle and at its end, or in one of these ways in turn.
#[derive(Clone)]
pub(super) struct Traced {
    chip: SimFlash,
    all_ways: bool,
    cuts: Rc<RefCell<Option<Vec<Cut>>>>,
}

impl Traced {
    pub(super) fn new(chip: SimFlash, all_ways: bool) -> Self {
        Traced { chip, all_ways, cuts: Rc::default() }
    }

    pub(super) fn image(&self) -> FlashImage {
        self.chip.snapshot()
    }

    pub(super) fn start(&self) {
        *self.cuts.borrow_mut() = Some(Vec::new());
    }

    /// All cuts since the start, in the order of the writes.
    pub(super) fn stop(&self) -> Vec<Cut> {
        self.cuts.borrow_mut().take().unwrap_or_default()
    }

    fn traced(
        &mut self,
        kind: WriteKind,
        mut write: impl FnMut(&mut SimFlash) -> Result<(), FlashError>,
    ) -> Result<(), FlashError> {
        let mut cuts = self.cuts.borrow_mut();
        let Some(cuts) = &mut *cuts else { return write(&mut self.chip) };
        let before = self.chip.snapshot();
        if cuts.is_empty() {
            cuts.push(Cut { kind, torn: TornMode::Before, image: before.clone() });
        }
        let (middle, end) = (cuts.len() % 2 == 1, cuts.len() % 2 == 0);
        if self.all_ways || middle {
            self.chip.cut_power_after(0, TornMode::During);
            let refused = write(&mut self.chip);
            assert_eq!(refused, Err(FlashError::Unpowered), "a write went on without power");
            assert_eq!(self.chip.power_up(), Some(kind));
            cuts.push(Cut { kind, torn: TornMode::During, image: self.chip.snapshot() });
            self.chip.restore(&before)?;
        }
        write(&mut self.chip)?;
        if self.all_ways || end {
            cuts.push(Cut { kind, torn: TornMode::After, image: self.chip.snapshot() });
        }
        Ok(())
    }
}

impl Flash for Traced {
    fn geometry(&self) -> Geometry {
        self.chip.geometry()
    }

    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError> {
        self.chip.read(at, out)
    }

    fn program(&mut self, at: u32, words: &[u8], kind: WriteKind) -> Result<(), FlashError> {
        let word_len = self.geometry().word_len;
        for (at, word) in (at..).step_by(word_len as usize).zip(words.chunks(word_len as usize)) {
            self.traced(kind, |chip| chip.program(at, word, kind))?;
        }
        Ok(())
    }

    fn erase(&mut self, block: u32) -> Result<(), FlashError> {
        self.traced(WriteKind::Erase, |chip| chip.erase(block))
    }
}
