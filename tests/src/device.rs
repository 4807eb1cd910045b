//! A container of which there are only the keys: it signs what a server is shown, at any place of
//! its chain. For loads of thousands, where an engine for each would be too much.

use protocol::codec::{self, Fixed};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{ContainerId, ContainerKind, RootFp, hex};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::request::Request;
use protocol::objects::statement::{ContextBody, TimeInfo, genesis_hash};
use protocol::objects::test_root;
use protocol::signed::{Header, Kind, Proof, sign_batch, write_object};

/// The container, for one firm.
pub struct Device {
    id: ContainerId,
    firm: RootFp,
    identity: SigningKey,
    certificate: Vec<u8>,
}

impl Device {
    /// The one of this number, certified under the test root.
    pub fn new(number: u32, firm: RootFp) -> Self {
        let mut id = [0x40; 16];
        id[12..].copy_from_slice(&number.to_be_bytes());
        let mut scalar = [1; 32];
        scalar[28..].copy_from_slice(&number.to_be_bytes());
        let identity = SigningKey::from_bytes(&scalar).expect("below the order");
        let point = SoftwareKey::from_bytes(&scalar).expect("below the order").public();
        let point = Fixed(point.to_compressed());
        let body = codec::encode(&DeviceBody {
            kind: ContainerKind::Dongle,
            clock: ClockClass::Rtc,
            anchor: AnchorClass::Hardware,
            identity_key: Fixed(identity.verifying_key().to_bytes()),
            channel_key: point,
            sealing_key: point,
            batch: 0,
        });
        let root_fp = test_root::root().expect("the test root").root_fp;
        let mut headers = [Header { root_fp, target: id, ..Header::new(Kind::Device, &body) }];
        let maker = test_root::device_key().expect("its key");
        let proofs = sign_batch(&mut headers, &maker, &[0; 32]).expect("one leaf");
        let certificate = write_object(&headers[0], &proofs[0], &body);
        Device { id: ContainerId::new(id), firm, identity, certificate }
    }

    /// Its id, as records have it.
    pub fn id(&self) -> String {
        hex(self.id.bytes())
    }

    /// Its certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The state in which it is before its first update.
    pub fn genesis(&self) -> [u8; 32] {
        genesis_hash(self.firm, self.id)
    }

    /// Its context file, after the update of this number led to this state.
    pub fn context(&self, seq: u64, state: [u8; 32]) -> Vec<u8> {
        context((self.firm, self.id), (&self.identity, &self.certificate), (seq, state), None)
    }
}

/// The context file of a container with this key and certificate, after the update of a number led
/// to a state.
pub fn context(
    (firm, id): (RootFp, ContainerId),
    (key, certificate): (&SigningKey, &[u8]),
    (seq, state): (u64, [u8; 32]),
    request: Option<Request>,
) -> Vec<u8> {
    let time = TimeInfo { floor_s: 0, now_s: 0, class: ClockClass::Rtc, certified_s: 0 };
    let body = codec::encode(&ContextBody {
        nonce: Fixed([9; 32]),
        config_hash: Fixed([0; 32]),
        root_version: u32::from(seq > 0),
        revocation_epoch: 0,
        time,
        commits: seq,
        entries: 1,
        firmware: 1 << 16,
        request,
    });
    let header = Header {
        root_fp: firm,
        key_id: key.verifying_key().id(),
        target: *id.bytes(),
        seq,
        state,
        ..Header::new(Kind::Context, &body)
    };
    let proof = Proof::Direct(Fixed(key.sign(&header.preimage(), &[0; 32])));
    let object = write_object(&header, &proof, &body);
    file::write(FileKind::Context, &[certificate, &object])
}
