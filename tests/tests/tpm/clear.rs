//! Who owns the TPM deletes what a container keeps there, and makes it again: the container is
//! locked, and says why.

use std::fs;

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Swtpm, Tools};

use crate::bare::{Bare, commit};
use crate::files;
use crate::keys::{STORAGE_KEY, keep_primary};

/// Attributes of a container's index and of the machine's counter.
const HEAD: &str = "authread|authwrite|no_da";
const COUNTER: &str = "nt=counter|authread|authwrite|no_da";

/// A vault that holds 1, closed.
fn vault(tpm: &Swtpm) -> Bare {
    let (bare, mut vault) = Bare::new(&tpm.tcti());
    commit(&mut vault, 1).expect("nothing is in its way");
    bare
}

fn head(bare: &Bare) -> String {
    format!("{:#x}", bare.seal().head().handle)
}

fn counter(bare: &Bare) -> String {
    format!("{:#x}", bare.seal().counter().handle)
}

/// Deletes an index and defines it again.
fn define_again(tools: &Tools, index: &str, options: &str) {
    tools.ok(&format!("tpm2_nvundefine {index} -C o"));
    tools.ok(&format!("tpm2_nvdefine {index} -C o {options}"));
}

/// Somebody knows what the index once held, and has the file that it opened. The index that he
/// makes has the same Name, but not the authorization that nobody knows.
#[test]
fn sec_k19_an_index_that_was_made_again_with_its_old_content_brings_no_old_state_back() {
    for password in ["", "attacker"] {
        let tpm = Swtpm::blank();
        let bare = vault(&tpm);
        let (old, content) = (files::read(bare.folder()), bare.secrets(&tpm).content);
        let (mut vault, _) = bare.open(&tpm.tcti()).expect("its own TPM");
        commit(&mut vault, 2).expect("nothing is in its way");
        drop(vault);
        let (tools, index) = (tpm.tools(), head(&bare));
        let defined = match password {
            "" => String::new(),
            password => format!("-p {password}"),
        };
        define_again(&tools, &index, &format!("-s 64 -a {HEAD} {defined}"));
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftAlien, "not written yet");
        fs::write(tools.dir().join("content"), content).expect("room");
        let written = defined.replace("-p", "-P");
        tools.ok(&format!("tpm2_nvwrite {index} -C {index} {written} -i content"));
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftAlien);
        files::put_back(bare.folder(), &old);
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftAlien);
    }
}

#[test]
fn sec_k19_an_index_that_was_deleted_locks_the_container() {
    for index in [head, counter] {
        let tpm = Swtpm::blank();
        let bare = vault(&tpm);
        tpm.tools().ok(&format!("tpm2_nvundefine {} -C o", index(&bare)));
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftGone);
    }
}

/// A counter goes on above all that this TPM ever counted, so whoever makes it again gains nothing.
#[test]
fn sec_k19_a_counter_that_was_made_again_is_no_lower_and_opens_once_it_counts() {
    let tpm = Swtpm::blank();
    let bare = vault(&tpm);
    let (tools, index) = (tpm.tools(), counter(&bare));
    let value = || {
        let bytes = tools.ok(&format!("tpm2_nvread {index} -C {index}"));
        u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
    };
    let before = value();
    define_again(&tools, &index, &format!("-s 8 -a {COUNTER}"));
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftAlien, "it counts nothing yet");
    tools.ok(&format!("tpm2_nvincrement {index} -C {index}"));
    assert!(value() > before);
    assert_eq!(bare.open(&tpm.tcti()).expect("it counts").1, 1);
    // One that its owner can set to any value is none.
    define_again(&tools, &index, &format!("-s 8 -a {HEAD}"));
    fs::write(tools.dir().join("value"), u64::MAX.to_be_bytes()).expect("room");
    tools.ok(&format!("tpm2_nvwrite {index} -C {index} -i value"));
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftAlien);
}

/// The seed of the owner is another one then, and with it the storage key.
#[test]
fn sec_k19_a_tpm_that_was_cleared_has_another_storage_key() {
    let tpm = Swtpm::blank();
    let bare = vault(&tpm);
    tpm.tools().ok("tpm2_clear -c p");
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftForeign);
    assert!(tpm.nv_indices().is_empty());
    // It takes containers again.
    assert_eq!(vault(&tpm).open(&tpm.tcti()).expect("its own TPM").1, 1);
}

#[test]
fn sec_k19_a_storage_key_that_was_kept_is_gone_with_all_else_when_the_tpm_is_cleared() {
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let bare = vault(&tpm);
    assert!(bare.seal().storage_key().persistent);
    tpm.tools().ok("tpm2_clear -c p");
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftGone);
}
