//! An NV counter, made, moved and read by tools.

use std::process::Output;

use strongroom_tests::swtpm::Tools;

/// A counter on a TPM, the same for all who use that one.
pub(crate) struct Counter<'a>(pub(crate) &'a Tools);

const INDEX: &str = "0x1800001";

impl Counter<'_> {
    /// Makes it; it begins with 1. It is not subject to dictionary attack protection, as that has
    /// the first use after each start come twice.
    pub(crate) fn define(&self) {
        let attributes = "ownerread|ownerwrite|authread|authwrite|no_da|nt=counter";
        self.0.ok(&format!("tpm2_nvdefine {INDEX} -s 8 -a {attributes}"));
        self.count_up();
        assert_eq!(self.value(), 1);
    }

    #[track_caller]
    pub(crate) fn count_up(&self) {
        let output = self.try_to_count_up();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn try_to_count_up(&self) -> Output {
        self.0.run(&format!("tpm2_nvincrement {INDEX}"))
    }

    pub(crate) fn value(&self) -> u64 {
        let bytes = self.0.ok(&format!("tpm2_nvread {INDEX}"));
        u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
    }
}
