//! Drafts of one epoch: of two, one at most was ever the state, and the other opens nothing.

use std::sync::mpsc;

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Act, CommandCode, Proxy, Swtpm};
use tpm::state_file::epoch_of;
use tpm::vault::NotCommitted;

use crate::bare::{Bare, commit};
use crate::files::{self, Files};

/// Has a commit drafted and cut off before it counts: the files that there were then.
fn cut_off(proxy: &Proxy, bare: &Bare, commit: impl FnOnce()) -> Files {
    let folder = bare.folder().to_owned();
    let (tell, told) = mpsc::channel();
    proxy.set_hook(move |exchange| match exchange.code() {
        CommandCode::NV_WRITE => {
            tell.send(files::states(&folder)).expect("it is waited for");
            Act::LoseCommand
        }
        _ => Act::Pass,
    });
    commit();
    proxy.pass_all();
    told.recv().expect("it came to the write")
}

/// What a transfer would be used for: the draft in which the license is still here is cut off
/// before it counts, the license is moved away, and the first draft is put back.
#[test]
fn sec_k08_of_two_drafts_of_one_epoch_the_one_that_was_not_committed_never_opens() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let (bare, mut vault) = Bare::new(&proxy.tcti());
    commit(&mut vault, 1).expect("nothing is in its way");
    let first = cut_off(&proxy, &bare, || {
        let refused = commit(&mut vault, 2);
        assert!(matches!(refused, Err(NotCommitted::Kept(_))), "{refused:?}");
    });
    commit(&mut vault, 3).expect("nothing is in its way");
    let epoch = vault.epoch();
    drop(vault);
    tpm.flush_all();
    let mut drafts = first.into_iter().filter(|(name, _)| epoch_of(name) == Some(epoch));
    let (name, draft) = drafts.next().expect("a draft of the same epoch");
    files::add(bare.folder(), &name, &draft);
    assert_eq!(bare.open(&tpm.tcti()).expect("its latest state is there").1, 3);
    let mut all = files::read(bare.folder());
    all.retain(|other, _| *other == name || epoch_of(other) != Some(epoch));
    files::put_back(bare.folder(), &all);
    assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftStale);
}
